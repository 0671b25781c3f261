"""What a person is shown before a dangerous call, and which calls are dangerous."""

from __future__ import annotations

import json
import re

import pytest

from agent_runtime.v1 import approval_pb2
from devtools.scripted_model import ScriptedModel, call
from devtools.scripted_model.script import Call
from tests.support.runtime_client import RuntimeClient
from tests.support.tool_turns import approvals_in, begin, calls, command, only, ordered, write
from tests.support.unlimited import APPROVAL_WAIT

FOLDER = call("create_directory", {"path": "x"}, id="c1")
READS = [
    call("read_file", {"path": "x"}, id="c1"),
    call("list_files", {}, id="c1"),
    call("search_in_code", {"query": "x"}, id="c1"),
]


@pytest.mark.parametrize("made", [write("x", "c1"), FOLDER, command("ls", "c1")], ids=lambda made: made.name)
async def test_what_changes_something_asks(client: RuntimeClient, model: ScriptedModel, made: Call) -> None:
    _, events = await begin(client, model, calls(made))
    assert ordered(events) == []
    assert approvals_in(events)["c1"].tool_name == made.name


@pytest.mark.parametrize("made", READS, ids=lambda made: made.name)
async def test_what_only_reads_does_not(client: RuntimeClient, model: ScriptedModel, made: Call) -> None:
    _, events = await begin(client, model, calls(made))
    assert approvals_in(events) == {}
    assert ordered(events) == [["c1"]]


async def test_the_request_holds_all_that_is_needed_to_show_and_decide_it(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, calls(write("src/a.py", "c1", "print('a')\n")))
    approval = approvals_in(events)["c1"]
    assert (approval.session_id, approval.turn_id) == (session_id, events[0].turn_id)
    assert (approval.agent, approval.tool_call_id, approval.tool_name) == ("coder", "c1", "write_file")
    assert json.loads(approval.arguments_json) == {"path": "src/a.py", "content": "print('a')\n"}
    assert re.fullmatch("[0-9a-f]{64}", approval.arguments_hash)
    assert "src/a.py" in approval.display
    assert "print('a')" in approval.display
    assert not approval.has_hidden_characters
    assert approval.reason
    assert (approval.rule_id, approval.state) == ("", approval_pb2.APPROVAL_STATE_PENDING)
    assert list(approval.available_decisions) == [
        approval_pb2.DECISION_APPROVE,
        approval_pb2.DECISION_APPROVE_WITH_EDITS,
        approval_pb2.DECISION_REJECT,
    ]
    assert (approval.released, approval.decided_by, approval.automatic, approval.feedback) == (False, "", False, "")
    assert abs(approval.expire_time.seconds - approval.create_time.seconds - APPROVAL_WAIT) <= 1
    assert not approval.HasField("resolve_time")
    assert await client.approval(session_id, approval.id) == approval
    assert list((await client.list_approvals(session_id=session_id)).approvals) == [approval]


async def test_a_snapshot_holds_what_is_pending_but_its_display(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(write("a", "c1"), write("b", "c2")))
    asked = [*approvals_in(events).values()]
    watch = client.watch(session_id, snapshot=True, stop_at_head=True)
    (snapshot,) = [item.snapshot async for item in watch if item.HasField("snapshot")]
    assert list(snapshot.active_turn.pending_approval_ids) == [approval.id for approval in asked]
    for approval in asked:
        approval.display = ""
    assert list(snapshot.pending_approvals) == asked
    assert list(snapshot.open_tool_calls) == []


async def test_characters_nobody_sees_are_shown_and_warned_about(client: RuntimeClient, model: ScriptedModel) -> None:
    _, events = await begin(client, model, calls(command("ls \u202e# elif-mr\u200b", "c1")))
    approval = only(events, "approval_requested").approval
    assert approval.has_hidden_characters
    assert not {"\u202e", "\u200b"} & set(approval.display)
    assert {"\u202e", "\u200b"} < set(json.loads(approval.arguments_json)["command"])


async def test_equal_calls_have_approvals_of_their_own(client: RuntimeClient, model: ScriptedModel) -> None:
    _, events = await begin(client, model, calls(command("ls", "c1"), command("ls", "c2")))
    first, second = approvals_in(events).values()
    assert first.id != second.id
    assert first.arguments_json == second.arguments_json
    assert first.arguments_hash != second.arguments_hash
