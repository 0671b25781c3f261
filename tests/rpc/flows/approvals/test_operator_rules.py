"""The operator's rules decide first: deny, then ask, then allow; what they allow is not announced."""

from __future__ import annotations

import pytest

from devtools.scripted_model import ScriptedModel, call, reply, text
from devtools.scripted_model.script import Call
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    only,
    ordered,
    read,
    results_read,
    write,
)

ALLOWED = [write("free/a", "c1"), write("./free//a", "c1"), command("make test", "c1")]
DENIED = [
    command("rm -rf .", "c1"),
    command("make && rm -rf .", "c1"),
    call("create_directory", {"path": "x"}, id="c1"),
]
ASKED = {
    "secrets": read("./secrets.env", "c1"),
    "long-commands": call("execute_command", {"command": "make", "timeout": 200}, id="c1"),
    "": command("ls", "c1"),
}


@pytest.mark.parametrize("made", ALLOWED, ids=lambda made: made.arguments)
async def test_what_a_rule_allows_runs_unasked(ruled_client: RuntimeClient, model: ScriptedModel, made: Call) -> None:
    session_id, events = await begin(ruled_client, model, calls(made), reply(text("done")))
    assert ordered(events) == [["c1"]]
    assert not {"approval_requested", "approval_resolved"} & set(kinds(events))
    events = await ruled_client.tool_results(session_id, text_result("c1", "ok"))
    assert events[-1].turn_completed.result_text == "done"


@pytest.mark.parametrize("made", DENIED, ids=lambda made: made.arguments)
async def test_what_a_rule_denies_is_told_the_model(
    ruled_client: RuntimeClient, model: ScriptedModel, made: Call
) -> None:
    _, events = await begin(ruled_client, model, calls(made), reply(text("I see")))
    assert not {"approval_requested", "tool_calls_requested"} & set(kinds(events))
    assert only(events, "tool_result_recorded").is_error
    said = (await results_read(model))["c1"]
    assert "rule" in said
    assert ("nothing is removed here" in said) == ("rm -rf" in made.arguments)
    assert events[-1].turn_completed.result_text == "I see"


@pytest.mark.parametrize("rule_id", ASKED)
async def test_a_rule_that_asks_is_named(ruled_client: RuntimeClient, model: ScriptedModel, rule_id: str) -> None:
    _, events = await begin(ruled_client, model, calls(ASKED[rule_id]))
    approval = approvals_in(events)["c1"]
    assert approval.rule_id == rule_id
    assert approval.reason
    assert not approval.can_remember
    if rule_id == "secrets":
        assert approval.reason == "the file holds secrets"
