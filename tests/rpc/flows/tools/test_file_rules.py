"""What an agent may write is decided on what a path means: nothing else is ever ordered or asked about."""

from __future__ import annotations

import pytest

from devtools.scripted_model import ScriptedModel, call, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    decide_here,
    only,
    ordered,
    requests,
    results_read,
    tools_in,
    write,
)

NOT_FOR_THE_ARCHITECT = [
    *("x.py", "../x.md", "a.md/../b.py", "x.py\0.md", "/etc/x.md", "a.md\n", "a.md ", "a.md.", "docs/../../x.md"),
    *(".", "..", "", " ", "~/x.md", "C:x.md", "C:\\x.md", "docs\\x.md", "x.py:a.md", "x%2emd"),
    *("x.py\u202edm.md", "x.md\u200b", "x.md.py", "md", "x.markdown", "xmd", "//etc/x.md", "./../x.md", "x.py#.md/.."),
]
NEVER_WRITTEN = {
    "debug": [write("x.md", "c1"), write("x.py", "c1"), call("create_directory", {"path": "x"}, id="c1")],
    "ask": [
        *(write("x.md", "c1"), write("x.py", "c1"), call("create_directory", {"path": "x"}, id="c1")),
        command("touch x", "c1"),
    ],
    "architect": [command("touch x.md", "c1"), call("create_directory", {"path": "docs"}, id="c1")],
}


@pytest.mark.parametrize("path", NOT_FOR_THE_ARCHITECT)
async def test_the_architect_writes_nothing_but_documents(
    client: RuntimeClient, model: ScriptedModel, path: str
) -> None:
    session_id, events = await begin(client, model, calls(write(path, "c1")), reply(text("I see")), agent="architect")
    assert not {"tool_calls_requested", "approval_requested", "turn_paused"} & set(kinds(events))
    assert only(events, "tool_result_recorded").is_error
    assert events[-1].turn_completed.result_text == "I see"
    assert "not run" in (await results_read(model))["c1"]
    assert list((await client.list_approvals(session_id=session_id)).approvals) == []
    assert (await client.ask(session_id, "and on"))[-1].HasField("turn_completed")


@pytest.mark.parametrize("path", ["docs/x.md", "x.md", "./docs//x.md", "docs/y/../x.md", "X.MD", "план.md"])
async def test_the_architect_writes_documents_once_a_person_agrees(
    client: RuntimeClient, model: ScriptedModel, path: str
) -> None:
    session_id, events = await begin(client, model, calls(write(path, "c1")), reply(text("done")), agent="architect")
    assert ordered(events) == []
    released = await decide_here(client, approvals_in(events)["c1"])
    assert ordered(released) == [["c1"]]
    events = await client.tool_results(session_id, text_result("c1", "written"))
    assert events[-1].turn_completed.result_text == "done"


@pytest.mark.parametrize(
    ("agent", "number"), [(agent, n) for agent, made in NEVER_WRITTEN.items() for n in range(len(made))]
)
async def test_agents_that_may_not_write_are_offered_nothing_to_write_with(
    client: RuntimeClient, model: ScriptedModel, agent: str, number: int
) -> None:
    made = NEVER_WRITTEN[agent][number]
    _, events = await begin(client, model, calls(made), reply(text("I see")), agent=agent)
    assert not {"tool_calls_requested", "approval_requested", "turn_paused"} & set(kinds(events))
    assert made.name not in tools_in((await requests(model))[0])
    assert "no such tool" in (await results_read(model))["c1"]
    assert events[-1].turn_completed.result_text == "I see"


@pytest.mark.parametrize("path", ["../x.py", "/etc/passwd", "a\0b", "x.py\n", "", "."])
async def test_nobody_writes_outside_the_workspace(client: RuntimeClient, model: ScriptedModel, path: str) -> None:
    _, events = await begin(client, model, calls(write(path, "c1")), reply(text("I see")), agent="coder")
    assert not {"tool_calls_requested", "approval_requested"} & set(kinds(events))
    assert events[-1].turn_completed.result_text == "I see"
