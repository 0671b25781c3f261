"""The first scene: a failing test is fixed, with a person who looks at every change, and a server that is killed."""

from __future__ import annotations

import json

from agent_runtime.v1.agent_context_pb2 import AGENT_SWITCH_SOURCE_ROUTER
from agent_runtime.v1.approval_pb2 import APPROVAL_STATE_PENDING, DECISION_REJECT, Approval
from agent_runtime.v1.approval_service_pb2 import ListApprovalsRequest
from agent_runtime.v1.approval_service_pb2_grpc import ApprovalServiceStub
from agent_runtime.v1.input_pb2 import ApprovalDecision, ToolResult, ToolResults, UserMessage
from agent_runtime.v1.tool_event_pb2 import TOOL_EXECUTION_MODE_PARALLEL
from agent_runtime.v1.turn_pb2 import FINISH_REASON_ATTEMPT_COMPLETION
from devtools.demo.dialogue import Events, refusal
from devtools.demo.events import StoryBrokenError, as_bytes, only, payloads
from devtools.demo.project import MORE_TESTS, PRICES_FIXED
from devtools.demo.script import FIX, FIX_RESULT
from devtools.demo.stage import Stage
from devtools.demo.verdicts import Promise

EDIT = "amounts stay whole numbers, no floats"
FEEDBACK = "No copies: version control keeps the old one. Rather add a test for an empty order."
_REQUEST_ID = "fix-the-test"


async def fix_the_test(stage: Stage) -> None:
    """From the request to the passing test. Raises StoryBrokenError if the turn takes another way."""
    stage.verdicts.check(Promise.RESULT, not await stage.project.tests_pass(), "the test fails before the fix")
    first = await stage.dialogue.say(FIX, request_id=_REQUEST_ID)
    switch = only(first, "agent_switched")
    stage.verdicts.check(
        Promise.ROUTING,
        (switch.to_agent, switch.source) == ("coder", AGENT_SWITCH_SOURCE_ROUTER),
        "the model sent the fix to coder",
    )
    events = await _look_around(stage, first)
    events = await _write_with_an_edit(stage, only(events, "approval_requested").approval)
    events = await _refuse_a_write(stage, only(events, "approval_requested").approval)
    events = await _write_as_proposed(stage, only(events, "approval_requested").approval)
    events = await _run_the_tests_after_a_crash(stage, only(events, "approval_requested").approval)
    completed = only(events, "turn_completed")
    stage.verdicts.check(
        Promise.RESULT,
        (completed.result_text, completed.finish_reason) == (FIX_RESULT, FINISH_REASON_ATTEMPT_COMPLETION),
        "the turn's result is what coder declared",
    )
    stage.verdicts.check(Promise.RESULT, await stage.project.tests_pass(), "the tests pass, run from outside")
    await _send_again(stage, first)


async def _look_around(stage: Stage, events: Events) -> Events:
    order = only(events, "tool_calls_requested")
    stage.verdicts.check(
        Promise.BATCH,
        [call.name for call in order.calls] == ["list_files", "read_file", "read_file"]
        and order.execution_mode == TOOL_EXECUTION_MODE_PARALLEL,
        "one order for three parallel calls",
    )
    *early, last = reversed(await stage.dialogue.run(order.calls))
    for result in early:
        paused = await stage.dialogue.report(result)
        stage.verdicts.check(
            Promise.BATCH, not payloads(paused, "turn_resumed"), "the turn waits until the last result is there"
        )
    events = await stage.dialogue.report(last)
    stage.verdicts.check(
        Promise.BATCH, len(payloads(events, "turn_resumed")) == 1, "the last result brings the one continuation"
    )
    return events


async def _write_with_an_edit(stage: Stage, approval: Approval) -> Events:
    dialogue, verdicts = stage.dialogue, stage.verdicts
    dialogue.show(approval)
    early = ToolResult(tool_call_id=approval.tool_call_id, text="done already")
    reason = await refusal(stage.client.submit(dialogue.session_id, ToolResults(results=[early])))
    dialogue.note(f"a result is sent before anybody approved: {reason}")
    verdicts.check(Promise.HELD, reason == "TOOL_CALL_NOT_OPEN", f"an early result for a held call: {reason}")
    reason = await refusal(stage.client.submit(dialogue.session_id, UserMessage(text="And what about me?")))
    dialogue.note(f"a second message is sent meanwhile: {reason}")
    verdicts.check(Promise.G3, reason == "TURN_IN_PROGRESS", f"a second message: {reason}")

    edited = json.dumps({**json.loads(approval.arguments_json), "content": PRICES_FIXED})
    events = await dialogue.approve_with_edits(approval, edited, EDIT)
    order = only(events, "tool_calls_requested")
    verdicts.check(
        Promise.EDITED, json.loads(order.calls[0].arguments_json) == json.loads(edited), "the order is the edited call"
    )
    other = ApprovalDecision(
        approval_id=approval.id, arguments_hash=approval.arguments_hash, decision=DECISION_REJECT, feedback="or not"
    )
    reason = await refusal(stage.client.decide(dialogue.session_id, other))
    dialogue.note(f"somebody else rejects it a moment later: {reason}")
    verdicts.check(Promise.G6, reason == "APPROVAL_RESOLVED", f"a second decision: {reason}")

    [result] = await dialogue.run(order.calls)
    events = await dialogue.report(result)
    verdicts.check(Promise.EDITED, stage.project.text("prices.py") == PRICES_FIXED, "the file holds the edit")
    await _same_result_and_another(stage, result)
    await _edit_is_known(stage, approval.tool_call_id, edited)
    return events


async def _same_result_and_another(stage: Stage, result: ToolResult) -> None:
    session_id = stage.dialogue.session_id
    again = await refusal(stage.client.submit(session_id, ToolResults(results=[result])))
    stage.verdicts.check(Promise.G6, again == "accepted", f"the same result again: {again}")
    other = ToolResult(tool_call_id=result.tool_call_id, text="something else")
    reason = await refusal(stage.client.submit(session_id, ToolResults(results=[other])))
    stage.verdicts.check(Promise.G6, reason == "TOOL_CALL_NOT_OPEN", f"another result for the same call: {reason}")


async def _edit_is_known(stage: Stage, call_id: str, edited: str) -> None:
    history = await stage.client.last_messages(stage.dialogue.session_id, 20)
    calls = {call.id: call for message in history for call in message.tool_calls}
    in_history = calls[call_id].arguments_edited and json.loads(calls[call_id].arguments_json) == json.loads(edited)
    stage.verdicts.check(Promise.EDITED, in_history, "the history shows the edited arguments, marked as such")
    messages = (await stage.last_model_request())["messages"]
    told = {call["id"]: call for message in messages for call in message.get("tool_calls") or ()}
    stage.verdicts.check(
        Promise.EDITED,
        json.loads(told[call_id]["function"]["arguments"]) == json.loads(edited)
        and "person edited" in _tool_message(messages, call_id),
        "the model reads the edited arguments, and that a person edited them",
    )


async def _refuse_a_write(stage: Stage, approval: Approval) -> Events:
    stage.dialogue.show(approval)
    events = await stage.dialogue.reject(approval, FEEDBACK)
    path = json.loads(approval.arguments_json)["path"]
    stage.verdicts.check(
        Promise.REJECTED,
        not payloads(events, "tool_calls_requested") and stage.project.text(path) is None,
        "the rejected write was not ordered, and there is no file",
    )
    told = _tool_message((await stage.last_model_request())["messages"], approval.tool_call_id)
    stage.verdicts.check(Promise.REJECTED, FEEDBACK in told, "the model reads the feedback")
    return events


async def _write_as_proposed(stage: Stage, approval: Approval) -> Events:
    stage.dialogue.show(approval)
    events = await stage.dialogue.approve(approval)
    [result] = await stage.dialogue.run(only(events, "tool_calls_requested").calls)
    stage.verdicts.check(Promise.HELD, stage.project.text("test_prices.py") == MORE_TESTS, "the approved write ran")
    return await stage.dialogue.report(result)


async def _run_the_tests_after_a_crash(stage: Stage, approval: Approval) -> Events:
    dialogue, verdicts = stage.dialogue, stage.verdicts
    await stage.watcher.reached(dialogue.seen[-1].sequence)
    before = as_bytes(stage.watcher.events)
    dialogue.show(approval)
    dialogue.note("the server is killed with -9 while this waits, and started again on the same database")
    await stage.kill_and_restart()
    verdicts.check(Promise.G1, as_bytes(await stage.log())[: len(before)] == before, "the log after kill -9")
    pending = await ApprovalServiceStub(stage.channel).ListApprovals(
        ListApprovalsRequest(session_id=dialogue.session_id), wait_for_ready=True
    )
    verdicts.check(
        Promise.G4,
        [(left.id, left.arguments_hash, left.state) for left in pending.approvals]
        == [(approval.id, approval.arguments_hash, APPROVAL_STATE_PENDING)],
        "the same approval is pending after the restart",
    )
    events = await dialogue.approve(approval)
    order = only(events, "tool_calls_requested")
    verdicts.check(Promise.G4, order.calls[0].id == approval.tool_call_id, "the decision brings the order")
    [result] = await dialogue.run(order.calls)
    outcome = json.loads(result.json)
    verdicts.check(Promise.RESULT, outcome.get("exit_code") == 0, f"the test command's result: {outcome}")
    return await dialogue.report(result)


async def _send_again(stage: Stage, first: Events) -> None:
    head = (await stage.log())[-1].sequence
    repeated = stage.client.send(stage.dialogue.session_id, UserMessage(text=FIX), request_id=_REQUEST_ID)
    again = [event async for event in repeated]
    stage.verdicts.check(Promise.G5, as_bytes(again) == as_bytes(first), "the repeat shows what the message brought")
    stage.verdicts.check(Promise.G5, not await stage.log(head), "the repeat adds nothing to the log")


def _tool_message(messages: list[dict[str, object]], call_id: str) -> str:
    """What the model reads as the call's result."""
    found = [str(message["content"]) for message in messages if message.get("tool_call_id") == call_id]
    if not found:
        raise StoryBrokenError(f"the model was not told the result of {call_id}")
    return found[0]
