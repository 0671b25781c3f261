"""A session that a test talks through, in the words of who does what; the history is checked after every word."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace

from devtools.scripted_model.pairing import check_request
from services.application.ports.store import NOTHING_MORE
from services.application.turns.answer_steps import take_answer, take_model_failure
from services.application.turns.inputs.accept import accept, lookup_for
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, withdraw_input
from services.application.turns.outside_steps import EXPIRING, cancel_turn, expire_waits, fail_internally, recover_turn
from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_context import AgentContext, SwitchSource
from services.domain.approval import Approval, ApprovalState, Decision, Remember
from services.domain.errors import ErrorReason
from services.domain.input import (
    ApprovalDecision,
    BusyPolicy,
    FollowupAnswer,
    InputContent,
    Resume,
    ToolResult,
    ToolResults,
    UserMessage,
    in_turn,
)
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import FinishReason, ModelAnswer, ModelError, Usage
from services.domain.policies.approval_rules import ApprovalRule
from services.domain.policies.history import valid_history
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import TERMINAL, Payload, ToolCallsRequested
from services.domain.tool import ASK_FOLLOWUP_QUESTION, ATTEMPT_COMPLETION, SWITCH_MODE, ClientTool
from services.domain.tool_call import ToolCall, ToolCallState
from services.domain.turn import CallerLimits, CancelCause, Followup, Turn, TurnState, Wait
from services.infrastructure.llm.chat_format import message_to_chat
from tests.support.catalogs import Agents, a_policy
from tests.support.changes import a_session
from tests.support.memory_session import MemorySession

ONE_TOKEN = Usage(prompt_tokens=1, completion_tokens=1)


def call(call_id: str, name: str, **arguments: object) -> MessageToolCall:
    return MessageToolCall(call_id, name, json.dumps(arguments))


def read(call_id: str, path: str = "a.py") -> MessageToolCall:
    return call(call_id, "read_file", path=path)


def write(call_id: str, path: str = "a.py", content: str = "x = 1") -> MessageToolCall:
    return call(call_id, "write_file", path=path, content=content)


def command(call_id: str, text: str = "pytest") -> MessageToolCall:
    return call(call_id, "execute_command", command=text)


def done(call_id: str, result: str = "all done") -> MessageToolCall:
    return call(call_id, ATTEMPT_COMPLETION, result=result)


def question(call_id: str, text: str = "Which?", *suggestions: str) -> MessageToolCall:
    return call(call_id, ASK_FOLLOWUP_QUESTION, question=text, suggestions=list(suggestions or ("red", "blue")))


def handover(call_id: str, mode: str, reason: str = "it knows better") -> MessageToolCall:
    return call(call_id, SWITCH_MODE, mode=mode, reason=reason)


def result(call_id: str, content: str = "fine", *, is_error: bool = False, is_json: bool = False) -> ToolResult:
    return ToolResult(call_id, content, is_json, is_error)


class Conversation:
    """Each method is one thing that happens, as one transaction; it returns what was staged, or raises and changes
    nothing.
    """

    def __init__(
        self,
        *,
        agent: str = "coder",
        rules: Sequence[ApprovalRule] = (),
        limits: TurnLimits | None = None,
        client_tools: Sequence[ClientTool] = (),
        **session: object,
    ) -> None:
        self.memory = MemorySession(a_session(**session), AgentContext(agent), client_tools)
        self.limits = limits or TurnLimits()
        self.agents = Agents()
        self.policy = a_policy(*rules, agents=self.agents)
        self.accepted: AcceptedInput | None = None

    def user(
        self,
        text: str = "go on",
        *,
        agent: str | None = None,
        policy: BusyPolicy = BusyPolicy.REJECT,
        limits: CallerLimits | None = None,
    ) -> SessionChange:
        return self.send(UserMessage(text, agent, policy, limits))

    def queue(self, text: str) -> SessionChange:
        return self.user(text, policy=BusyPolicy.QUEUE)

    def steer(self, text: str) -> SessionChange:
        return self.user(text, policy=BusyPolicy.STEER)

    def interrupt(self, text: str) -> SessionChange:
        return self.user(text, policy=BusyPolicy.INTERRUPT)

    def resume(self, limits: CallerLimits | None = None) -> SessionChange:
        return self.send(Resume(limits))

    def model(self, *calls: MessageToolCall, text: str = "", **fields: object) -> SessionChange:
        """The model answers."""
        reason = FinishReason.TOOL_CALLS if calls else FinishReason.STOP
        answer = replace(
            ModelAnswer(text, "", calls, reason, ONE_TOKEN, "scripted"),
            **fields,  # type: ignore[arg-type]
        )
        agent = self.agents.get(self.turn.agent)
        client_tools = self.memory.client_tools
        checked = [self.policy.check(each, agent, client_tools) for each in calls]
        lookup = Lookup(call_ids=tuple(each.id for each in calls if each.id), rules=bool(calls))

        def step(change: SessionChange) -> None:
            judgements = self.policy.rule(calls, checked, client_tools, change.loaded.rules)
            take_answer(change, answer, judgements, self.limits)

        return self._do(step, lookup, is_step=True)

    def model_fails(self, *, retryable: bool = True, said: str = "") -> SessionChange:
        error = ModelError("the model is away", retryable=retryable)
        return self._do(lambda change: take_model_failure(change, error, said), is_step=True)

    def results(self, *results: ToolResult) -> SessionChange:
        """The client sends what its tools gave."""
        return self.send(ToolResults(results))

    def decide(
        self,
        call_id: str,
        decision: Decision,
        *,
        edits: str = "",
        feedback: str = "",
        principal: str = "ann",
        remember: Remember = Remember.NONE,
    ) -> SessionChange:
        """A person decides about the call, on what was shown."""
        approval = self.approval(call_id)
        content = ApprovalDecision(approval.id, approval.arguments_hash, decision, edits, feedback, remember)
        return self.send(content, principal=principal)

    def approve(self, call_id: str, *, feedback: str = "") -> SessionChange:
        return self.decide(call_id, Decision.APPROVE, feedback=feedback)

    def edit(self, call_id: str, **arguments: object) -> SessionChange:
        return self.decide(call_id, Decision.APPROVE_WITH_EDITS, edits=json.dumps(arguments))

    def reject(self, call_id: str, feedback: str = "") -> SessionChange:
        return self.decide(call_id, Decision.REJECT, feedback=feedback)

    def answer(self, text: str | None = None, *, option: str | None = None) -> SessionChange:
        """The user answers the question that is open."""
        return self.send(FollowupAnswer(self.followup.id, option, text))

    def send(
        self, content: InputContent, *, principal: str = "ann", request_id: str = "", expected_turn_id: str = ""
    ) -> SessionChange:
        """Any input, as a client sends it."""
        sender = Sender(request_id, principal, expected_turn_id)
        kept: list[AcceptedInput] = []
        change = self._do(
            lambda change: kept.append(accept(change, content, sender, self.policy, self.limits)), lookup_for(content)
        )
        [self.accepted] = kept
        return change

    def cancel(self, *, withdraw_pending: bool = False) -> SessionChange:
        def decide(change: SessionChange) -> None:
            for pending in change.pending_inputs if withdraw_pending else []:
                withdraw_input(change, pending)
            cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann")

        return self._do(decide, Lookup(draft_text=True))

    def withdraw(self, input_id: str) -> SessionChange:
        """Somebody takes a message back that waits."""

        def decide(change: SessionChange) -> None:
            [pending] = [each for each in change.pending_inputs if each.id == input_id]
            withdraw_input(change, pending)

        return self._do(decide)

    def fault(self) -> SessionChange:
        """Something of ours goes wrong."""
        return self._do(fail_internally, Lookup(draft_text=True))

    def wait(self, seconds: float) -> SessionChange:
        """Time passes, then somebody looks for waits that have run out."""
        self.memory.advance(seconds)
        return self._do(lambda change: expire_waits(change, self.limits, self.policy), EXPIRING)

    def crash(self) -> SessionChange:
        """The process that owns the session dies, and another looks for what it left."""
        self.memory.owner_lives = False
        return self._do(recover_turn)

    def switch(self, agent: str) -> SessionChange:
        """The user changes the agent by hand."""
        return self._do(
            lambda change: change.switch_agent(agent, reason="", source=SwitchSource.USER, requested_by="ann")
        )

    @property
    def last_turn(self) -> Turn:
        """The newest turn, active or not."""
        return list(self.memory.turns.values())[-1]

    @property
    def waiting(self) -> list[str]:
        """What the messages say that wait, in the order they will be taken."""
        return [each.message.text for each in in_turn(self.memory.load().pending_inputs) if each.message]

    @property
    def turn(self) -> Turn:
        assert self.memory.turn is not None
        return self.memory.turn

    @property
    def paused(self) -> Wait:
        """What the turn waits for."""
        assert self.turn.state is TurnState.PAUSED
        assert self.turn.wait is not None
        return self.turn.wait

    @property
    def followup(self) -> Followup:
        assert self.paused.followup is not None
        return self.paused.followup

    @property
    def failure(self) -> ErrorReason:
        assert self.last_turn.failure is not None
        return self.last_turn.failure.reason

    @property
    def is_running(self) -> bool:
        return self.last_turn.state is TurnState.RUNNING

    def approval(self, call_id: str) -> Approval:
        """The approval of a call."""
        [approval] = [each for each in self.memory.approvals.values() if each.tool_call_id == call_id]
        return approval

    @property
    def pending(self) -> list[str]:
        """The calls that wait for a person."""
        pending = ApprovalState.PENDING
        return [each.tool_call_id for each in self.memory.approvals.values() if each.state is pending]

    @property
    def orders(self) -> list[list[str]]:
        """What the client was asked to run, order by order."""
        orders = (payload for payload in self.memory.log if isinstance(payload, ToolCallsRequested))
        return [[each.id for each in order.calls] for order in orders]

    def told(self, call_id: str) -> str:
        """What the model reads as the result of a call."""
        [message] = [each for each in self.memory.messages if each.tool_call_id == call_id]
        return message.content

    def record(self, call_id: str) -> ToolCall:
        return self.memory.calls[call_id]

    def is_error(self, call_id: str) -> bool:
        [message] = [each for each in self.memory.messages if each.tool_call_id == call_id]
        return message.is_error

    def _do(
        self, decide: Callable[[SessionChange], object], lookup: Lookup = NOTHING_MORE, *, is_step: bool = False
    ) -> SessionChange:
        change = self.memory.change(decide, lookup, is_step=is_step)
        check_whole(self.memory)
        return change


def check_whole(memory: MemorySession) -> None:
    """What holds of every session at every moment. Raises AssertionError or RefusedRequestError."""
    turn, messages = memory.turn, memory.messages
    answered = [message.tool_call_id for message in messages if message.role is Role.TOOL]
    settled = [each.id for each in memory.calls.values() if each.state is ToolCallState.SETTLED]
    assert sorted(map(str, answered)) == sorted(settled), "one tool message for each settled call, none for others"
    _check_request(valid_history(memory.history()))
    if turn is None or turn.state is TurnState.RUNNING:
        _check_request(messages)
        assert len(settled) == len(memory.calls), "only a paused turn has calls that wait"
        assert not any(each.state is ApprovalState.PENDING for each in memory.approvals.values())
    if turn is None:
        return
    if turn.state is TurnState.RUNNING:
        assert turn.attempt is not None
        assert turn.wait is None
        assert memory.owned, "somebody runs it"
        assert memory.owner_lives, "and is alive"
        return
    assert turn.attempt is None
    assert not memory.owned
    _check_wait(memory, turn)


def _check_request(messages: Sequence[Message]) -> None:
    """Raises RefusedRequestError unless the provider takes these messages, as they look on the wire."""
    entries = [{"role": "system", "content": "be good"}, *map(message_to_chat, messages)]
    check_request(json.loads(json.dumps({"model": "m", "messages": entries})))


def _check_wait(memory: MemorySession, turn: Turn) -> None:
    wait = turn.wait
    assert wait is not None
    assert wait.reasons, "a paused turn waits for something"
    calls = [each for each in memory.calls.values() if each.turn_id == turn.id]
    assert list(wait.open_tool_call_ids) == [each.id for each in calls if each.state is ToolCallState.OPEN]
    held = [each.id for each in calls if each.state is ToolCallState.HELD]
    pending = [each for each in memory.approvals.values() if each.state is ApprovalState.PENDING]
    assert sorted(each.tool_call_id for each in pending) == sorted(held)
    assert sorted(wait.pending_approval_ids) == sorted(each.id for each in pending)
    asking = [each.id for each in calls if each.state is ToolCallState.ASKING]
    assert [wait.followup.tool_call_id] * len(asking) == asking if wait.followup else not asking
    ends = [each.expire_time for each in calls if each.expire_time] + [
        each.expire_time for each in pending if each.expire_time
    ]
    ends += [wait.followup.expire_time] if wait.followup else []
    assert wait.expire_time == min(ends, default=None)


def ends_of(memory: MemorySession) -> list[Payload]:
    """The terminal events of the log."""
    return [payload for payload in memory.log if isinstance(payload, TERMINAL)]
