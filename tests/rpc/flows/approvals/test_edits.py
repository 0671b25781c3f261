"""A person edits a call before it runs: it runs as edited, everybody sees that, and no check is passed over."""

from __future__ import annotations

import json

import grpc
import pytest

from agent_runtime.v1 import approval_pb2, input_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.refused_calls import send, wrong_fields
from tests.support.runtime_client import RuntimeClient, refused, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    decide_here,
    only,
    ordered,
    read,
    requests,
    results_read,
    write,
)

EDIT = approval_pb2.DECISION_APPROVE_WITH_EDITS
BAD_EDITS = ['{"path": "x.md"}', '{"path": "x.md", "content": 5}', "[]", "{", '{"path": "a", "path": "b"}', "null"]
FORBIDDEN_PATHS = ["x.py", "../x.md", "a.md/../b.py", "x.py\0.md", "/etc/x.md", "a.md\n"]


async def test_an_edited_call_runs_and_is_remembered_as_edited(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(write("a.py", "c1", "old"), read("z", "c2")), reply(text("done")), reply(text("again"))
    )
    approval = approvals_in(events)["c1"]
    edited = '{"content": "new",  "path": "b.py"}'  # to the letter, spaces too
    events = await decide_here(client, approval, EDIT, edited_arguments_json=edited, feedback="in b")
    resolved = only(events, "approval_resolved")
    assert resolved.outcome == approval_pb2.APPROVAL_STATE_APPROVED_WITH_EDITS
    assert resolved.released
    (order,) = only(events, "tool_calls_requested").calls
    assert (order.id, order.arguments_json, order.arguments_edited) == ("c1", edited, True)
    kept = await client.approval(session_id, approval.id)
    assert (kept.arguments_json, kept.edited_arguments_json) == (approval.arguments_json, edited)
    assert kept.state == approval_pb2.APPROVAL_STATE_APPROVED_WITH_EDITS
    written = (await client.list_messages(session_id)).messages[1].tool_calls
    assert [(each.arguments_json, each.arguments_edited) for each in written] == [
        (edited, True),
        ('{"path": "z"}', False),
    ]
    await client.tool_results(session_id, text_result("c1", "written"), text_result("c2", "z"))
    for _ in range(2):
        history = (await requests(model))[-1]["messages"]
        (made,) = [message["tool_calls"] for message in history if message.get("tool_calls")]
        assert [each["function"]["arguments"] for each in made] == [edited, '{"path": "z"}']
        said = (await results_read(model))["c1"]
        assert "A person edited" in said
        assert "in b" in said
        assert said.endswith("written")
        await client.ask(session_id, "and on")


@pytest.mark.parametrize("edited", [*BAD_EDITS, *(json.dumps({"path": p, "content": ""}) for p in FORBIDDEN_PATHS)])
async def test_edits_pass_schema_and_file_rules_or_the_approval_stays_pending(
    client: RuntimeClient, model: ScriptedModel, edited: str
) -> None:
    session_id, events = await begin(client, model, calls(write("x.md", "c1")), reply(text("ok")), agent="architect")
    approval = approvals_in(events)["c1"]
    log = await client.log(session_id)
    decision = input_pb2.ApprovalDecision(
        approval_id=approval.id,
        arguments_hash=approval.arguments_hash,
        decision=EDIT,
        edited_arguments_json=edited,
    )
    by_stream = await wrong_fields(send(client, session_id=session_id, approval_decision=decision))
    assert list(by_stream) == ["approval_decision.edited_arguments_json"]
    by_call = await wrong_fields(client.decide(approval, EDIT, edited_arguments_json=edited))
    assert list(by_call) == ["decision.edited_arguments_json"]
    assert await client.log(session_id) == log
    assert await client.approval(session_id, approval.id) == approval
    good = json.dumps({"path": "docs/y.md", "content": "y"})
    assert ordered(await decide_here(client, approval, EDIT, edited_arguments_json=good)) == [["c1"]]


async def test_edits_have_the_rights_of_the_agent_that_made_the_call(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, calls(write("x.md", "c1")), agent="architect")
    approval = approvals_in(events)["c1"]
    await client.switch_agent(session_id, "coder")
    python = json.dumps({"path": "x.py", "content": ""})
    await wrong_fields(client.decide(approval, EDIT, edited_arguments_json=python))


async def test_edits_pass_the_operators_rules_as_well(ruled_client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(ruled_client, model, calls(command("ls", "c1")))
    approval = approvals_in(events)["c1"]
    forbidden = '{"command": "rm -rf ."}'
    fields = await wrong_fields(ruled_client.decide(approval, EDIT, edited_arguments_json=forbidden))
    assert "nothing is removed here" in fields["decision.edited_arguments_json"]
    kept = await ruled_client.approval(session_id, approval.id)
    assert kept.state == approval_pb2.APPROVAL_STATE_PENDING


async def test_the_same_edits_again_are_fine_and_others_too_late(client: RuntimeClient, model: ScriptedModel) -> None:
    _, events = await begin(client, model, calls(command("ls", "c1")))
    approval = approvals_in(events)["c1"]
    first = await client.decide(approval, EDIT, edited_arguments_json='{"command": "ls -l"}')
    again = await client.decide(approval, EDIT, edited_arguments_json='{"command": "ls -l"}')
    assert again == first
    async with refused() as refusal:
        await client.decide(approval, EDIT, edited_arguments_json='{"command": "ls -a"}')
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.FAILED_PRECONDITION, "APPROVAL_RESOLVED")
    assert refusal().metadata["outcome"] == "APPROVED_WITH_EDITS"
