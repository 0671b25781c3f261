"""The conversation runs what is ordered, once, and asks a person exactly where one is waited for."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from google.rpc import code_pb2
from rich.console import Console

from agent_runtime.v1.answer_event_pb2 import MessageAdded, TextDelta
from agent_runtime.v1.approval_pb2 import (
    APPROVAL_STATE_APPROVED,
    DECISION_APPROVE,
    DECISION_APPROVE_WITH_EDITS,
    DECISION_REJECT,
    Approval,
)
from agent_runtime.v1.approval_service_pb2 import DecideApprovalRequest
from agent_runtime.v1.error_reason_pb2 import ERROR_REASON_LLM_UNAVAILABLE
from agent_runtime.v1.input_pb2 import FollowupAnswer, UserMessage
from agent_runtime.v1.message_pb2 import MESSAGE_ROLE_ASSISTANT, Message
from agent_runtime.v1.session_stream_pb2 import PartialMessage
from agent_runtime.v1.tool_event_pb2 import (
    TOOL_EXECUTION_MODE_PARALLEL,
    TOOL_EXECUTION_MODE_SEQUENTIAL,
    ApprovalRequested,
    ApprovalResolved,
    FollowupAsked,
    FollowupOption,
    ToolCallsRequested,
)
from agent_runtime.v1.tool_pb2 import OpenToolCall, ToolCall
from agent_runtime.v1.turn_event_pb2 import TurnCompleted, TurnFailed, TurnPaused
from agent_runtime.v1.turn_pb2 import WAIT_REASON_APPROVAL, WAIT_REASON_BUDGET, WAIT_REASON_FOLLOWUP, Turn
from client import ReconnectPolicy, connect
from client.chat.conversation import Conversation, Outcome
from client.chat.person import APPROVED, InterruptedByPersonError, Verdict
from client.chat.screen import Screen
from client.chat.transcript import Transcript
from client.tools.toolbox import Toolbox
from client.tools.workspace import Workspace
from tests.rpc.client.fake_runtime import TURN, UNAVAILABLE, FakeRuntime, Input, refusal, serving
from tests.support.waiting import eventually

HELLO = UserMessage(text="hello")


@dataclass
class Somebody:
    """A person whose verdicts and answers are known beforehand."""

    verdicts: list[Verdict | BaseException] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    asked: list[Approval] = field(default_factory=list)

    async def decide(self, approval: Approval) -> Verdict:
        self.asked.append(approval)
        verdict = self.verdicts.pop(0)
        if isinstance(verdict, BaseException):
            raise verdict
        return verdict

    async def answer(self, question: FollowupAsked) -> FollowupAnswer:
        return FollowupAnswer(followup_id=question.followup_id, text=self.answers.pop(0))


@dataclass
class Talk:
    """A conversation with a fake runtime, and what it wrote."""

    conversation: Conversation
    workspace: Path
    screen: io.StringIO


@asynccontextmanager
async def talk(runtime: FakeRuntime, workspace: Path, person: Somebody | None = None) -> AsyncIterator[Talk]:
    async def no_sleep(_: float) -> None:
        return

    written = io.StringIO()
    transcript = Transcript(Screen(Console(file=written, width=200, highlight=False)))
    toolbox = Toolbox(Workspace(workspace))
    async with (
        asyncio.timeout(20),
        serving(runtime) as address,
        connect(address, policy=ReconnectPolicy(sleep=no_sleep)) as client,
    ):
        yield Talk(Conversation(client, "s1", toolbox, person or Somebody(), transcript), workspace, written)


def command(id: str, line: str) -> ToolCall:
    return ToolCall(id=id, name="execute_command", arguments_json=json.dumps({"command": line}))


def approval(id: str, line: str) -> Approval:
    call = command(f"call-{id}", line)
    return Approval(
        id=id,
        tool_call_id=call.id,
        tool_name=call.name,
        arguments_json=call.arguments_json,
        arguments_hash=f"hash-{id}",
        available_decisions=[DECISION_APPROVE, DECISION_REJECT],
    )


async def complete(runtime: FakeRuntime) -> None:
    await runtime.happens(turn_completed=TurnCompleted(result_text="done"))


def results(runtime: FakeRuntime) -> list[list[tuple[str, bool]]]:
    """What results were sent, message by message."""
    return [
        [(result.tool_call_id, result.is_error) for result in request.tool_results.results]
        for request in runtime.inputs
        if request.HasField("tool_results")
    ]


async def test_a_batch_is_run_at_once_and_answered_in_one_message(tmp_path: Path) -> None:
    async def plot(runtime: FakeRuntime, what: Input) -> None:
        if what == runtime.inputs[0]:
            calls = [command("a", "touch a; until [ -e b ]; do sleep 0.01; done"), command("b", "touch b")]
            order = ToolCallsRequested(calls=calls, execution_mode=TOOL_EXECUTION_MODE_PARALLEL)
            await runtime.happens(tool_calls_requested=order)
            await runtime.happens(turn_paused=TurnPaused(open_tool_call_ids=["a", "b"]))
        else:
            await complete(runtime)

    runtime = FakeRuntime(plot)
    async with talk(runtime, tmp_path) as it:
        assert await it.conversation.say(HELLO) is Outcome.COMPLETED
        assert it.conversation.result_text == "done"
    assert results(runtime) == [[("a", False), ("b", False)]]
    assert runtime.inputs[0].detach


async def test_a_sequence_is_run_in_order(tmp_path: Path) -> None:
    async def plot(runtime: FakeRuntime, what: Input) -> None:
        if what == runtime.inputs[0]:
            calls = [command("a", "sleep 0.1; echo a >> order"), command("b", "echo b >> order")]
            order = ToolCallsRequested(calls=calls, execution_mode=TOOL_EXECUTION_MODE_SEQUENTIAL)
            await runtime.happens(tool_calls_requested=order)
        else:
            await complete(runtime)

    runtime = FakeRuntime(plot)
    async with talk(runtime, tmp_path) as it:
        await it.conversation.say(HELLO)
    assert (tmp_path / "order").read_text() == "a\nb\n"


@pytest.mark.parametrize("items", [1, 2, 3])
async def test_a_call_ordered_again_after_breaks_runs_once(tmp_path: Path, items: int) -> None:
    async def plot(runtime: FakeRuntime, what: Input) -> None:
        if what == runtime.inputs[0]:
            for _ in range(2):  # a careless server, or a log read twice
                await runtime.happens(tool_calls_requested=ToolCallsRequested(calls=[command("a", "echo x >> ran")]))
        elif len(results(runtime)) == 2:
            await complete(runtime)

    runtime = FakeRuntime(plot)
    runtime.items_per_stream = items
    runtime.refusals = [UNAVAILABLE]
    async with talk(runtime, tmp_path) as it:
        assert await it.conversation.say(HELLO) is Outcome.COMPLETED
    assert (tmp_path / "ran").read_text() == "x\n"
    first, second = (request.tool_results for request in runtime.inputs[1:])
    assert first == second


async def test_nothing_runs_that_was_not_ordered_from_this_turn(tmp_path: Path) -> None:
    touch = command("a", "touch ran")

    async def plot(runtime: FakeRuntime, _: Input) -> None:
        message = Message(id="m", role=MESSAGE_ROLE_ASSISTANT, tool_calls=[touch])
        await runtime.happens(message_added=MessageAdded(message=message))
        await runtime.happens(tool_calls_requested=ToolCallsRequested(calls=[touch], speculative=True))
        await runtime.happens("another turn", tool_calls_requested=ToolCallsRequested(calls=[touch]))
        await complete(runtime)

    runtime = FakeRuntime(plot)
    async with talk(runtime, tmp_path) as it:
        await it.conversation.say(HELLO)
    assert not (tmp_path / "ran").exists()
    assert results(runtime) == []


async def asks_for_approval(runtime: FakeRuntime, what: Input) -> None:
    if isinstance(what, DecideApprovalRequest):
        released = what.decision.decision != DECISION_REJECT
        resolved = ApprovalResolved(approval_id="p", released=released, outcome=APPROVAL_STATE_APPROVED)
        await runtime.happens(approval_resolved=resolved)
        if released:
            await runtime.happens(tool_calls_requested=ToolCallsRequested(calls=[command("call-p", "touch ran")]))
        else:
            await complete(runtime)
    elif what.HasField("user_message"):
        await runtime.happens(approval_requested=ApprovalRequested(approval=approval("p", "touch ran")))
        pause = TurnPaused(waiting_for=[WAIT_REASON_APPROVAL], pending_approval_ids=["p"])
        await runtime.happens(turn_paused=pause)
        await runtime.happens(turn_paused=pause)  # written again while anything stays open
    elif "call-p" in str(what):
        await complete(runtime)


async def test_an_approved_call_runs_after_the_decision(tmp_path: Path) -> None:
    runtime, person = FakeRuntime(asks_for_approval), Somebody([APPROVED])
    async with talk(runtime, tmp_path, person) as it:
        assert await it.conversation.say(HELLO) is Outcome.COMPLETED
    (decision,) = [request.decision for request in runtime.decisions]
    assert (decision.approval_id, decision.arguments_hash, decision.decision) == ("p", "hash-p", DECISION_APPROVE)
    assert (tmp_path / "ran").exists()


async def test_a_rejected_call_does_not_run(tmp_path: Path) -> None:
    runtime, person = FakeRuntime(asks_for_approval), Somebody([Verdict(DECISION_REJECT, "not today")])
    async with talk(runtime, tmp_path, person) as it:
        assert await it.conversation.say(HELLO) is Outcome.COMPLETED
    assert runtime.decisions[0].decision.feedback == "not today"
    assert not (tmp_path / "ran").exists()


async def test_edits_that_are_refused_are_asked_for_again(tmp_path: Path) -> None:
    edited = Verdict(DECISION_APPROVE_WITH_EDITS, edited_arguments_json='{"command": ""}')
    runtime, person = FakeRuntime(asks_for_approval), Somebody([edited, APPROVED])

    runtime.refusals_of["DecideApproval"] = [refusal(code_pb2.INVALID_ARGUMENT, "INVALID_ARGUMENT")]
    async with talk(runtime, tmp_path, person) as it:
        assert await it.conversation.say(HELLO) is Outcome.COMPLETED
        assert "not taken: refused by the test" in it.screen.getvalue()
    assert len(person.asked) == 2
    assert [request.decision.decision for request in runtime.decisions] == [DECISION_APPROVE]


async def test_a_decision_that_comes_too_late_is_said_and_the_turn_goes_on(tmp_path: Path) -> None:
    async def expires(runtime: FakeRuntime, what: Input) -> None:
        await runtime.happens(approval_requested=ApprovalRequested(approval=approval("p", "touch ran")))
        await runtime.happens(turn_paused=TurnPaused(waiting_for=[WAIT_REASON_APPROVAL], pending_approval_ids=["p"]))
        runtime.refusals_of["DecideApproval"] = [refusal(code_pb2.FAILED_PRECONDITION, "APPROVAL_RESOLVED")]
        await runtime.happens(approval_resolved=ApprovalResolved(approval_id="p"))
        await complete(runtime)

    runtime, person = FakeRuntime(expires), Somebody([APPROVED])
    async with talk(runtime, tmp_path, person) as it:
        assert await it.conversation.say(HELLO) is Outcome.COMPLETED
    assert len(person.asked) == 1


async def test_a_question_is_answered(tmp_path: Path) -> None:
    async def plot(runtime: FakeRuntime, what: Input) -> None:
        if what == runtime.inputs[0]:
            asked = FollowupAsked(followup_id="f", question="Which?", options=[FollowupOption(id="1", label="this")])
            await runtime.happens(followup_asked=asked)
            await runtime.happens(turn_paused=TurnPaused(waiting_for=[WAIT_REASON_FOLLOWUP], followup_id="f"))
        else:
            await complete(runtime)

    runtime, person = FakeRuntime(plot), Somebody(answers=["that"])
    async with talk(runtime, tmp_path, person) as it:
        assert await it.conversation.say(HELLO) is Outcome.COMPLETED
    answer = runtime.inputs[1].followup_answer
    assert (answer.followup_id, answer.text) == ("f", "that")


async def test_ctrl_c_instead_of_a_decision_cancels_the_turn(tmp_path: Path) -> None:
    runtime, person = FakeRuntime(asks_for_approval), Somebody([InterruptedByPersonError()])
    async with talk(runtime, tmp_path, person) as it:
        assert await it.conversation.say(HELLO) is Outcome.CANCELLED
    assert runtime.cancelled == [TURN]
    assert runtime.decisions == []


async def test_an_interrupt_cancels_the_turn_and_ends_its_commands(tmp_path: Path) -> None:
    async def plot(runtime: FakeRuntime, _: Input) -> None:
        calls = [command("a", "touch begun; sleep 60; touch ended")]
        await runtime.happens(tool_calls_requested=ToolCallsRequested(calls=calls))

    runtime = FakeRuntime(plot)
    async with talk(runtime, tmp_path) as it:
        saying = asyncio.create_task(it.conversation.say(HELLO))
        await eventually((tmp_path / "begun").exists)
        it.conversation.interrupt()
        assert await saying is Outcome.CANCELLED
        assert not it.conversation.is_busy
    assert runtime.cancelled == [TURN]
    assert results(runtime) == []


async def test_a_second_interrupt_leaves_a_runtime_that_does_not_answer(tmp_path: Path) -> None:
    async def plot(runtime: FakeRuntime, _: Input) -> None:
        runtime.refusals_of["CancelTurn"] = [refusal(code_pb2.INTERNAL, "INTERNAL")]
        await runtime.happens(text_delta=TextDelta(message_id="m", text="for ever and ever"))

    runtime = FakeRuntime(plot)
    async with talk(runtime, tmp_path) as it:
        saying = asyncio.create_task(it.conversation.say(HELLO))
        await eventually(lambda: "for ever" in it.screen.getvalue())
        it.conversation.interrupt()
        await eventually(lambda: "not cancelled" in it.screen.getvalue())
        it.conversation.interrupt()
        assert await saying is Outcome.LEFT


async def test_a_session_is_taken_up_where_it_stands(tmp_path: Path) -> None:
    runtime, person = FakeRuntime(asks_for_approval), Somebody([APPROVED])
    runtime.approvals["p"] = approval("p", "touch ran")
    snapshot = runtime.snapshot
    snapshot.active_turn.CopyFrom(Turn(id=TURN, agent="coder"))
    snapshot.partial_message.CopyFrom(PartialMessage(message_id="m", text="I was about to"))
    snapshot.open_tool_calls.append(OpenToolCall(call=command("open", "touch was-open"), turn_id=TURN))
    snapshot.pending_approvals.append(Approval(id="p"))  # as snapshots have it: without `display`
    async with talk(runtime, tmp_path, person) as it:
        assert await it.conversation.join()
        assert await it.conversation.go_on() is Outcome.COMPLETED
        assert "coder ▸ I was about to" in it.screen.getvalue()
    assert [asked.arguments_hash for asked in person.asked] == ["hash-p"]
    assert (tmp_path / "was-open").exists()
    assert (tmp_path / "ran").exists()


async def test_a_quiet_session_has_nothing_to_take_up(tmp_path: Path) -> None:
    async with talk(FakeRuntime(asks_for_approval), tmp_path) as it:
        assert not await it.conversation.join()


async def test_a_failed_turn_and_one_out_of_budget_say_so(tmp_path: Path) -> None:
    async def fails(runtime: FakeRuntime, _: Input) -> None:
        await runtime.happens(
            turn_failed=TurnFailed(reason=ERROR_REASON_LLM_UNAVAILABLE, message="the model is away", resumable=True)
        )

    async def pauses(runtime: FakeRuntime, _: Input) -> None:
        await runtime.happens(turn_paused=TurnPaused(waiting_for=[WAIT_REASON_BUDGET]))

    async with talk(FakeRuntime(fails), tmp_path) as it:
        assert await it.conversation.say(HELLO) is Outcome.FAILED
        assert "failed: the model is away (llm unavailable) · /resume goes on" in it.screen.getvalue()
    async with talk(FakeRuntime(pauses), tmp_path) as it:
        assert await it.conversation.say(HELLO) is Outcome.PAUSED
