"""The client has run tools: each result is judged by itself, recorded once, and the last one lets the turn go on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from services.application.turns.batch_order import go_on
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender, place_of, record_input
from services.application.turns.settling import settle
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import active_turn
from services.domain.errors import RuntimeServiceError, ToolCallNotOpenError, ToolResultTooLargeError
from services.domain.input import Disposition, Input, InputKind, RejectedToolResult, ToolResult, ToolResults
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.policies.work_facts import work_after
from services.domain.session_change import SessionChange
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import TurnResumeCause

_WHY_NOT_OPEN: Mapping[ToolCallState, str] = {
    ToolCallState.HELD: "the call waits for a person's decision and must not be run",
    ToolCallState.WAITING: "the call waits for other calls and was not ordered yet",
    ToolCallState.ASKING: "the call waits for the user's answer, not for a result",
    ToolCallState.SETTLED: "the call has its result already, and it is another one",
}


def accept_tool_results(
    change: SessionChange, content: ToolResults, sender: Sender, limits: TurnLimits
) -> AcceptedInput:
    """Records every result that is for an open call and names the others in InputAccepted.

    A result that was recorded before, and is the same, counts as accepted and changes nothing; if all are such, nothing
    is written and the input that brought them is returned. When every result is refused, the error of the first is
    raised: ToolCallNotOpenError or ToolResultTooLargeError.
    """
    open_calls = {call.id: call for call in change.batch if call.state is ToolCallState.OPEN}
    taken: list[tuple[ToolCall, ToolResult]] = []
    repeats: list[ToolCall] = []
    errors: list[tuple[str, RuntimeServiceError]] = []
    for result in content.results:
        settled = change.loaded.known_calls.get(result.tool_call_id)
        if settled is not None and settled.input_id and settled.result_digest == _digest(result):
            repeats.append(settled)
        elif (error := _error_of(change, result, limits)) is not None:
            errors.append((result.tool_call_id, error))
        elif result.tool_call_id not in open_calls:
            errors.append((result.tool_call_id, _not_open(result.tool_call_id, ToolCallState.SETTLED)))
        else:
            taken.append((open_calls.pop(result.tool_call_id), result))
    if not taken and errors:
        raise errors[0][1]
    if not taken:
        return _of_earlier(repeats)
    turn = active_turn(change)
    rejected = [RejectedToolResult(call_id, error.reason, error.message) for call_id, error in errors]
    accepted = record_input(change, sender, InputKind.TOOL_RESULTS, Disposition.CONTINUED, turn.id, rejected=rejected)
    for call, result in taken:
        _take(change, call, result, accepted)
    followup = turn.wait.followup if turn.wait is not None else None
    go_on(change, turn, limits, followup=followup, cause=TurnResumeCause.TOOL_RESULTS)
    return place_of(accepted)


def _take(change: SessionChange, call: ToolCall, result: ToolResult, accepted: Input) -> None:
    marked = replace(
        call, result_digest=_digest(result), input_id=accepted.id, accepted_sequence=accepted.accepted_sequence
    )
    outcome = CallOutcome.FAILED if result.is_error else CallOutcome.SUCCEEDED
    # An empty result is a result; what the model reads must not look like none.
    settle(change, marked, result.content if result.content.strip() else '""', outcome, ToolResultSource.CLIENT)
    if not result.is_error:
        work = work_after(change.context.work, call, result, change.now)
        change.context = replace(change.context, work=work)


def _error_of(change: SessionChange, result: ToolResult, limits: TurnLimits) -> RuntimeServiceError | None:
    call = next((call for call in change.batch if call.id == result.tool_call_id), None)
    call = call or change.loaded.known_calls.get(result.tool_call_id)
    if call is None or call.state is not ToolCallState.OPEN:
        return _not_open(result.tool_call_id, call.state if call is not None else None)
    if len(result.content.encode()) > limits.tool_result_bytes:
        return ToolResultTooLargeError(result.tool_call_id, limits.tool_result_bytes)
    return None


def _not_open(call_id: str, state: ToolCallState | None) -> ToolCallNotOpenError:
    why = _WHY_NOT_OPEN[state] if state is not None else "no such call was made in this session"
    return ToolCallNotOpenError(why, metadata={"tool_call_id": call_id, "state": state or "UNKNOWN"})


def _of_earlier(repeats: list[ToolCall]) -> AcceptedInput:
    latest = max(repeats, key=lambda call: call.accepted_sequence)
    return AcceptedInput(latest.input_id, latest.turn_id, latest.accepted_sequence)


def _digest(result: ToolResult) -> str:
    kind = f"{'json' if result.is_json else 'text'}:{'error' if result.is_error else 'ok'}:"
    return hashlib.sha256((kind + result.content).encode()).hexdigest()
