"""What must hold of a session's log after any fault, and of what was seen of it (G1, G2, G3, G5, G6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tests.faults.points.caller import Caller
from tests.support.runtime_client import Event, kinds

_OF_A_TURN = ("text_delta", "attempt_restarted", "tool_calls_requested", "tool_result_recorded", "turn_resumed")
_ENDS = ("turn_completed", "turn_failed", "turn_cancelled")


def flaws_of(caller: Caller, log: list[Event], cleared_through: int) -> list[str]:
    """Everything that is wrong with a log, and with what its client saw of it; `log` is what is behind the clearing."""
    flaws = list(caller.complaints)
    numbers = [event.sequence for event in log]
    if numbers != list(range(cleared_through + 1, cleared_through + len(log) + 1)):
        flaws.append(f"G2: the log is numbered {numbers}, cleared through {cleared_through}")
    stored = {event.sequence: event for event in log}
    for number, event in sorted(caller.seen.items()):
        if number > cleared_through and stored.get(number) != event:
            flaws.append(f"G1: event {number} ({kinds([event])[0]}) was seen and is not what is stored")
    if cleared_through == 0:
        flaws += _flaws_of_turns(log)
        flaws += _flaws_of_inputs(caller, log)
        flaws += _flaws_of_texts(log)
    flaws += _flaws_of_calls(caller, log)
    return flaws


def _flaws_of_turns(log: list[Event]) -> list[str]:
    """One turn at a time, each with exactly one end, its deltas between (G3)."""
    flaws, active = [], ""
    for event in log:
        kind = kinds([event])[0]
        if kind == "turn_started":
            if active:
                flaws.append(f"G3: a turn starts at {event.sequence} while another is active")
            active = event.turn_id
        elif kind in _ENDS:
            if event.turn_id != active:
                flaws.append(f"G3: the end at {event.sequence} is not the active turn's")
            active = ""
        elif kind in _OF_A_TURN and event.turn_id != active:
            flaws.append(f"G3: {kind} at {event.sequence} is not the active turn's")
    if active:
        flaws.append("G4: a turn neither ended nor failed")
    return flaws


def _flaws_of_inputs(caller: Caller, log: list[Event]) -> list[str]:
    """Each input was accepted once (G5)."""
    accepted = Counter(event.input_accepted.request_id for event in log if event.HasField("input_accepted"))
    flaws = _doubles("G5: input {} was accepted {} times", accepted.elements())
    return flaws + [f"G1: input {lost!r} was seen accepted and is not" for lost in caller.sent - set(accepted)]


def _flaws_of_texts(log: list[Event]) -> list[str]:
    """The pieces of an answer, put together, are the answer; none is left over (G2)."""
    pieces: dict[str, str] = {}
    flaws = []
    for event in log:
        if event.HasField("text_delta"):
            delta = event.text_delta
            pieces[delta.message_id] = pieces.get(delta.message_id, "") + delta.text
        elif event.HasField("attempt_restarted"):
            pieces.pop(event.attempt_restarted.discarded_message_id, None)
        elif event.HasField("message_added"):
            message = event.message_added.message
            if message.id in pieces and pieces.pop(message.id) != message.content:
                flaws.append(f"G2: the pieces of message {message.id} are not the message")
    return flaws + [f"G2: message {message_id} was streamed and never added" for message_id in pieces]


def _flaws_of_calls(caller: Caller, log: list[Event]) -> list[str]:
    """Each call was ordered once and has one result, each approval was asked for and decided once (G6)."""
    ordered = [call.id for event in log for call in event.tool_calls_requested.calls]
    recorded = [event.tool_result_recorded.tool_call_id for event in log if event.HasField("tool_result_recorded")]
    asked = [event.approval_requested.approval.id for event in log if event.HasField("approval_requested")]
    resolved = [event.approval_resolved.approval_id for event in log if event.HasField("approval_resolved")]
    flaws = _doubles("G6: call {} was ordered {} times", ordered)
    flaws += _doubles("G6: call {} has {} results", recorded)
    flaws += _doubles("G6: approval {} was decided {} times", resolved)
    flaws += _doubles("G6: call {} was run {} times", caller.executed)
    flaws += [f"G6: call {call_id} was ordered and has no result" for call_id in set(ordered) - set(recorded)]
    flaws += [f"G6: approval {approval_id} was never resolved" for approval_id in set(asked) - set(resolved)]
    return flaws


def _doubles(words: str, ids: Iterable[str]) -> list[str]:
    return [words.format(one, count) for one, count in Counter(ids).items() if count > 1]
