"""Whatever happens in whatever order, a session keeps its promises: valid histories, one result, one decision, one end
(G6, G7).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest

from services.application.turns.inputs.user_message import MAX_PENDING
from services.application.turns.turn_flow import INPUT_ID
from services.domain.approval import ApprovalState
from services.domain.input import Disposition, InputState, in_turn
from services.domain.message import Role
from services.domain.policies.approval_rules import ALWAYS_ASK, ApprovalEffect, RuleOrigin
from services.domain.policies.arguments import arguments_hash, parse_arguments
from services.domain.session_events import (
    TERMINAL,
    ApprovalRequested,
    ApprovalResolved,
    InputAccepted,
    InputWithdrawn,
    MessageAdded,
    RequestedToolCall,
    ToolCallsRequested,
    ToolResultRecorded,
    TurnPaused,
    TurnResumed,
    TurnStarted,
)
from services.domain.tool import ASK_FOLLOWUP_QUESTION, ATTEMPT_COMPLETION, SWITCH_MODE
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import TurnStartCause, TurnState
from tests.support.anybody import Anybody
from tests.support.conversation import Conversation

SEEDS, STEPS = 30, 80


def turns_end_once_and_their_end_is_the_last_of_them(talk: Conversation) -> None:
    for turn in talk.memory.turns.values():
        told = [event.payload for event in talk.memory.events if event.turn_id == turn.id]
        ends = [payload for payload in told if isinstance(payload, TERMINAL)]
        if not told:
            continue  # cleared
        assert len(ends) == (not turn.state.is_active)
        assert not ends or told[-1] is ends[0]
        if not turn.state.is_active:
            assert not [each for each in talk.memory.calls.values() if each.turn_id == turn.id and _waits(each)]


def a_paused_turn_says_so_and_says_when_it_goes_on(talk: Conversation) -> None:
    paused: TurnPaused | None = None
    for payload in talk.memory.log:
        match payload:
            case TurnPaused():
                paused = payload
            case TurnResumed():
                assert paused is not None, "resumed without a pause, or twice"
                paused = None
            case MessageAdded(message) if message.role is Role.ASSISTANT and message.complete:
                assert paused is None, "the model spoke while the turn was paused"
            case TurnStarted():
                assert paused is None
            case _ if isinstance(payload, TERMINAL):
                paused = None
    wait = talk.memory.turn.wait if talk.memory.turn is not None else None
    assert (paused is None) == (wait is None)
    if paused is not None and wait is not None:
        assert paused.waiting_for == wait.reasons
        assert paused.open_tool_call_ids == wait.open_tool_call_ids
        assert paused.pending_approval_ids == wait.pending_approval_ids
        assert paused.followup_id == (wait.followup.id if wait.followup else None)
        assert paused.expire_time == wait.expire_time


def calls_are_ordered_once_if_ever_and_only_when_they_may_run(talk: Conversation) -> None:
    held: dict[str, str] = {}
    released: set[str] = set()
    ordered: Counter[str] = Counter()
    results: Counter[str] = Counter()
    allowed = {rule.tool for rule in talk.memory.rules if rule.effect is ApprovalEffect.ALLOW}
    decided: Counter[str] = Counter()
    for payload in talk.memory.log:
        match payload:
            case ApprovalRequested(approval):
                held[approval.tool_call_id] = approval.id
            case ApprovalResolved():
                decided[payload.approval_id] += 1
                if payload.released:
                    released.add(payload.tool_call_id)
            case ToolCallsRequested(_, requested):
                for each in requested:
                    ordered[each.id] += 1
                    assert each.id in released or each.name in allowed or not _asks(each), "ordered unasked"
                    assert each.id in released or each.id not in held
                    assert each.id not in results, "ordered after its end"
                    assert each.name not in (SWITCH_MODE, ATTEMPT_COMPLETION, ASK_FOLLOWUP_QUESTION)
                    assert each.arguments_json == talk.memory.calls[each.id].arguments_json
                    assert parse_arguments(each.arguments_json) is not None
            case ToolResultRecorded():
                results[payload.tool_call_id] += 1
                if payload.source is ToolResultSource.CLIENT:
                    assert ordered[payload.tool_call_id] == 1, "a result nobody asked for"
    for counted in (ordered, results, decided):
        assert not counted or max(counted.values()) == 1
    for approval in talk.memory.approvals.values():
        assert decided[approval.id] == (approval.state is not ApprovalState.PENDING)


def nothing_is_ordered_before_what_it_builds_on(talk: Conversation) -> None:
    over: dict[str, bool] = {}
    for payload in talk.memory.log:
        match payload:
            case ToolResultRecorded():
                over[payload.tool_call_id] = not payload.is_error
            case ToolCallsRequested(_, requested):
                for each in requested:
                    for earlier in _before(talk.memory.calls[each.id], talk.memory.calls.values()):
                        if each.name == "execute_command" and earlier.name == "write_file":
                            assert over.get(earlier.id), "a command before, or without, a write it builds on"
                        if each.name == "write_file" and _path(each) == _path(earlier):
                            assert earlier.id in over, "a write that disturbs what came before it"


def what_runs_is_what_was_approved(talk: Conversation) -> None:
    for approval in talk.memory.approvals.values():
        record = talk.memory.calls[approval.tool_call_id]
        shown = parse_arguments(approval.arguments_json)
        bound = arguments_hash(approval.tool_name, shown, talk.memory.session.id, record.id, approval.policy_version)
        assert approval.arguments_hash == bound
        if approval.state is ApprovalState.APPROVED_WITH_EDITS:
            assert record.arguments_json == approval.edited_arguments_json
            assert record.original_arguments_json == approval.arguments_json
        else:
            assert record.arguments_json == approval.arguments_json
        by_time = approval.state is ApprovalState.EXPIRED and talk.limits.release_expired
        if not (by_time and approval.tool_name not in ALWAYS_ASK):
            by_person = approval.state in (ApprovalState.APPROVED, ApprovalState.APPROVED_WITH_EDITS)
            assert approval.released == by_person


def every_decision_is_in_the_audit(talk: Conversation) -> None:
    audited = Counter(each.target_id for each in talk.memory.audit if each.action.startswith("approval."))
    for approval in talk.memory.approvals.values():
        assert audited[approval.id] == (approval.state is not ApprovalState.PENDING)
    assert not audited or max(audited.values()) == 1
    for rule in talk.memory.rules:
        assert rule.origin is RuleOrigin.REMEMBERED
        assert rule.tool not in ALWAYS_ASK
    remembered = [(rule.tool, rule.effect) for rule in talk.memory.rules]
    assert len(remembered) == len(set(remembered)), "the same decision is remembered once"


def nothing_forbidden_is_ever_ordered_or_asked_about(talk: Conversation) -> None:
    for each in talk.memory.calls.values():
        path = _arguments(each.arguments_json).get("path", "")
        offered = each.name != "teleport" and "rm" not in str(_arguments(each.arguments_json).get("command"))
        writes = each.name == "write_file"
        may_write = each.agent in ("coder", "universal") or (each.agent == "architect" and str(path).endswith(".md"))
        stays = not str(path).startswith(("/", "..")) and "\x00" not in str(path)
        if not (offered and stays and (may_write or not writes)):
            assert each.state is ToolCallState.SETTLED
            assert each.id not in {approval.tool_call_id for approval in talk.memory.approvals.values()}
            assert each.id not in {id_ for order in talk.orders for id_ in order}


def nothing_is_given_up_without_a_reason(talk: Conversation) -> None:
    for message in talk.memory.messages:
        if message.role is Role.TOOL and message.name != ATTEMPT_COMPLETION:
            assert message.content != "not run", "a call was dropped, not ended"


def nothing_goes_beyond_a_limit(talk: Conversation) -> None:
    for turn in talk.memory.turns.values():
        assert turn.model_calls <= talk.limits.model_calls


def what_waits_is_taken_in_its_turn_or_taken_back(talk: Conversation) -> None:
    waiting: list[str] = []
    steering: set[str] = set()
    spoken: Counter[str] = Counter()
    withdrawn: Counter[str] = Counter()
    for payload in talk.memory.log:
        match payload:
            case InputAccepted(disposition=Disposition.QUEUED | Disposition.STEERED):
                if payload.disposition is Disposition.STEERED:
                    steering.add(payload.input_id)
                waiting.append(payload.input_id)
                waiting.sort(key=lambda input_id: input_id not in steering)  # stable: else as they came
                assert payload.queue_position == waiting.index(payload.input_id) + 1
                assert len(waiting) <= MAX_PENDING
            case InputAccepted():
                assert payload.queue_position == 0
            case InputWithdrawn(input_id):
                waiting.remove(input_id)
                withdrawn[input_id] += 1
            case MessageAdded(message) if INPUT_ID in message.metadata:
                said_by = message.metadata[INPUT_ID]
                spoken[said_by] += 1
                if said_by in waiting:
                    assert waiting.pop(0) == said_by, "taken before its turn"
    assert waiting == [each.id for each in in_turn(talk.memory.load().pending_inputs)]
    crowd = talk.memory.most_running is not None
    assert not waiting or crowd or talk.memory.turn is not None, "it waits for the end of a turn, or for a place"
    for counted in (spoken, withdrawn):
        assert not counted or max(counted.values()) == 1
    assert not spoken.keys() & withdrawn.keys()
    states = {each.id: each.state for each in talk.memory.inputs.values()}
    assert all(states[input_id] is InputState.TAKEN for input_id in spoken)
    assert all(states[input_id] is InputState.WITHDRAWN for input_id in withdrawn)


def a_resumed_turn_takes_up_the_one_that_failed(talk: Conversation) -> None:
    newest = ""
    for event in talk.memory.events:
        if isinstance(event.payload, TurnStarted):
            if event.payload.cause is TurnStartCause.RESUME:
                failed = talk.memory.turns[event.payload.resumed_turn_id]
                assert failed.failure is not None
                assert failed.failure.resumable
                assert newest in ("", failed.id), "there was a newer one"
            newest = event.turn_id or ""


def nobody_goes_beyond_what_the_caller_allows(talk: Conversation) -> None:
    ordered: Counter[str | None] = Counter()
    for event in talk.memory.events:
        if isinstance(event.payload, ToolCallsRequested):
            ordered[event.turn_id] += len(event.payload.calls)
    for turn in talk.memory.turns.values():
        limits, base = turn.limits, turn.counted_from
        if limits is None or base.tokens or base.tool_calls or base.running_time:
            continue  # without limits, or resumed
        assert limits.model_calls is None or turn.model_calls - base.model_calls <= limits.model_calls
        assert limits.tool_calls is None or ordered[turn.id] <= limits.tool_calls
        assert limits.agent_switches is None or turn.agent_switches <= limits.agent_switches


def no_message_begins_one_turn_too_many(talk: Conversation) -> None:
    change, _ = talk.memory.changes[-1]
    before, most = change.loaded, talk.memory.most_running
    began = [event for event in change.events if isinstance(event.payload, TurnStarted)]
    if began and most is not None:
        ran = before.turn is not None and before.turn.state is TurnState.RUNNING
        assert talk.memory.running_elsewhere < most
        assert before.running_turns - ran < most


PROMISES = (
    no_message_begins_one_turn_too_many,
    what_waits_is_taken_in_its_turn_or_taken_back,
    a_resumed_turn_takes_up_the_one_that_failed,
    nobody_goes_beyond_what_the_caller_allows,
    turns_end_once_and_their_end_is_the_last_of_them,
    a_paused_turn_says_so_and_says_when_it_goes_on,
    calls_are_ordered_once_if_ever_and_only_when_they_may_run,
    nothing_is_ordered_before_what_it_builds_on,
    what_runs_is_what_was_approved,
    every_decision_is_in_the_audit,
    nothing_forbidden_is_ever_ordered_or_asked_about,
    nothing_is_given_up_without_a_reason,
    nothing_goes_beyond_a_limit,
)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_happens_every_promise_is_kept(seed: int) -> None:
    anybody = Anybody(Random(seed), crowd=seed % 2 == 1)
    for _ in range(STEPS):
        anybody.live()
        for promise in PROMISES:
            promise(anybody.talk)


def _asks(call: RequestedToolCall) -> bool:
    """Whether nothing but a person's word lets this call run."""
    asking = ("write_file", "create_directory", "deploy", "execute_command")
    return call.name in asking and _arguments(call.arguments_json) != {"command": "ls"}


def _before(call: ToolCall, calls: Iterable[ToolCall]) -> list[ToolCall]:
    """The calls before this one in its answer."""
    return [each for each in calls if each.batch_id == call.batch_id and each.position < call.position]


def _path(call: ToolCall | RequestedToolCall) -> object:
    return _arguments(call.arguments_json).get("path", call.name)


def _waits(each: ToolCall) -> bool:
    return each.state is not ToolCallState.SETTLED


def _arguments(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
