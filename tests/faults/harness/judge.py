"""Compares what clients saw with what is stored, and names every promise that was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from agent_runtime.v1 import approval_pb2, message_pb2, tool_event_pb2
from tests.faults.harness.history import History, View
from tests.faults.harness.stored import Row, Stored
from tests.support.runtime_client import Event

TERMINAL = frozenset({"turn_completed", "turn_failed", "turn_cancelled"})


def violations(history: History, stored: Stored) -> list[str]:
    """What was broken in one session that is at rest, each as `G<n>: what`; empty when all promises held."""
    found = [
        *history.complaints,
        *_not_stored(history, stored.events),
        *_numbers(stored),
        *_fence(stored.rows),
        *(f"G2: {problem}" for view in history.views for problem in _stream(view)),
        *_turns(stored.events),
        *_texts(stored.events),
        *_tools(history, stored.events),
        *_approvals(stored.events),
    ]
    return [f"{history.session_id}: {problem}" for problem in found]


def _not_stored(history: History, events: Sequence[Event]) -> Iterator[str]:
    """G1: whatever a client has seen is in the log, the same."""
    log = {event.sequence: event for event in events}
    for seen in history.seen():
        number = seen.event.sequence
        if number not in log:
            yield f"G1: event {number} was seen and is not stored"
        elif log[number] != seen.event:
            yield f"G1: event {number} was seen as {_name(seen.event)} and is stored as {_name(log[number])}"


def _numbers(stored: Stored) -> Iterator[str]:
    """G2: the log is 1, 2, 3 …, and the same whoever tells it."""
    for replica, events in stored.logs.items():
        if [event.sequence for event in events] != list(range(1, len(events) + 1)):
            yield f"G2: {replica} tells a log that is not 1 to {len(events)}"
        if events != stored.events:
            yield f"G2: {replica} tells another log"
    if [row.sequence for row in stored.rows] != list(range(1, stored.last_sequence + 1)):
        yield f"G2: the rows are not 1 to {stored.last_sequence}"
    if len(stored.rows) != len(stored.events):
        yield f"G2: {len(stored.rows)} rows and {len(stored.events)} events"


def _fence(rows: Sequence[Row]) -> Iterator[str]:
    """G3: no owner writes once a later one has, and each writes its events in order and once."""
    owned = [row for row in rows if row.epoch is not None and row.position is not None]
    for earlier, later in pairwise(owned):
        assert earlier.epoch is not None and later.epoch is not None  # noqa: PT018 - narrows for the type checker
        if later.epoch < earlier.epoch:
            yield f"G3: event {later.sequence} was written by epoch {later.epoch} after epoch {earlier.epoch} wrote"
    positions: dict[int | None, list[int | None]] = {}
    for row in owned:
        positions.setdefault(row.epoch, []).append(row.position)
    for epoch, numbers in positions.items():
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"G3: epoch {epoch} wrote its events at {numbers}"


def _stream(view: View) -> Iterator[str]:
    """G2: a stream goes on after the number it was asked for, without holes but those it declares."""
    covered = sorted(
        [(seen.event.sequence, seen.event.sequence) for seen in view.events] + view.gaps,
    )
    if not covered:
        return
    if [seen.event.sequence for seen in view.events] != sorted({seen.event.sequence for seen in view.events}):
        yield f"{view.kind} stream after {view.after} on {view.replica} is out of order or repeats"
    if view.after is not None and covered[0][0] != view.after + 1:
        yield f"{view.kind} stream after {view.after} on {view.replica} begins at {covered[0][0]}"
    if view.after is None and view.kind == "send":
        first = view.events[0].event
        if first.input_accepted.request_id != view.request_id:
            yield f"a new stream on {view.replica} begins with {_name(first)}"
    for (_, last), (first_number, _) in pairwise(covered):
        if first_number != last + 1:
            yield f"{view.kind} stream on {view.replica} goes from {last} to {first_number}"


def _turns(events: Sequence[Event]) -> Iterator[str]:
    """G3: one turn at a time, each started once and ended once."""
    active, over = "", set[str]()
    for event in events:
        kind = event.WhichOneof("payload")
        if not event.HasField("turn_id") or kind == "input_accepted":
            continue
        if kind == "turn_started":
            if active or event.turn_id in over:
                yield f"G3: event {event.sequence} starts turn {event.turn_id} while {active or 'it'} is there"
            active = event.turn_id
        elif event.turn_id != active and not (_is_users(event) and not active and event.turn_id not in over):
            yield f"G3: event {event.sequence} ({kind}) is of turn {event.turn_id}, active is {active or 'none'}"
        if kind in TERMINAL:
            over.add(event.turn_id)
            active = ""
        if kind == "turn_failed":
            yield f"G4: turn {event.turn_id} failed: {event.turn_failed.message}"
    if active:
        yield f"G4: turn {active} never ended"


def _is_users(event: Event) -> bool:
    """The user's own message, which comes before the turn it starts."""
    return event.message_added.message.role == message_pb2.MESSAGE_ROLE_USER


def _texts(events: Sequence[Event]) -> Iterator[str]:
    """G2: the pieces of a message, put together, are the message."""
    streamed: Counter[str] = Counter()
    pieces: dict[str, list[str]] = {}
    for event in events:
        kind = event.WhichOneof("payload")
        if kind == "text_delta":
            pieces.setdefault(event.text_delta.message_id, []).append(event.text_delta.text)
        elif kind == "attempt_restarted":
            pieces.pop(event.attempt_restarted.discarded_message_id, None)
        elif kind == "message_added" and event.message_added.message.role == message_pb2.MESSAGE_ROLE_ASSISTANT:
            message = event.message_added.message
            streamed[message.id] += 1
            if "".join(pieces.pop(message.id, [])) != message.content:
                yield f"G2: the pieces of message {message.id} are not the message"
    yield from (f"G3: message {message_id} was added twice" for message_id in _repeated(streamed))
    yield from (f"G2: message {message_id} was streamed and never added" for message_id in pieces)


def _tools(history: History, events: Sequence[Event]) -> Iterator[str]:
    """G6: each call is ordered once and has one result; nothing ran that was not ordered, nothing ran twice."""
    ordered = Counter(call.id for event in events for call in event.tool_calls_requested.calls)
    recorded = [event.tool_result_recorded for event in events if event.HasField("tool_result_recorded")]
    results = Counter(result.tool_call_id for result in recorded)
    yield from (f"G6: call {call_id} was ordered twice" for call_id in _repeated(ordered))
    yield from (f"G6: call {call_id} has two results" for call_id in _repeated(results))
    yield from (f"G6: call {call_id} ran twice" for call_id in _repeated(history.executions))
    yield from (f"G6: call {call_id} was ordered and has no result" for call_id in ordered - results)
    yield from (f"G6: call {call_id} ran and was not ordered" for call_id in set(history.executions) - set(ordered))
    for result in recorded:
        if result.source == tool_event_pb2.TOOL_RESULT_SOURCE_CLIENT and not history.executions[result.tool_call_id]:
            yield f"G6: call {result.tool_call_id} has a client's result and never ran"
        if result.is_error:
            yield f"G6: call {result.tool_call_id} was settled with an error"


def _approvals(events: Sequence[Event]) -> Iterator[str]:
    """G6: each approval is decided once, and what waits for one is ordered only after it."""
    resolved = Counter(event.approval_resolved.approval_id for event in events if event.HasField("approval_resolved"))
    yield from (f"G6: approval {approval_id} was resolved twice" for approval_id in _repeated(resolved))
    waiting: set[str] = set()
    for event in events:
        kind = event.WhichOneof("payload")
        if kind == "approval_requested":
            approval = event.approval_requested.approval
            waiting.add(approval.tool_call_id)
            if approval.id not in resolved:
                yield f"G6: approval {approval.id} was never resolved"
        elif kind == "approval_resolved":
            waiting.discard(event.approval_resolved.tool_call_id)
            if event.approval_resolved.outcome != approval_pb2.APPROVAL_STATE_APPROVED:
                yield f"G6: approval {event.approval_resolved.approval_id} was approved and is not"
        elif kind == "tool_calls_requested":
            for call in event.tool_calls_requested.calls:
                if call.id in waiting:
                    yield f"G6: call {call.id} was ordered before its approval"


def _repeated(counts: Counter[str]) -> Iterable[str]:
    return (name for name, count in counts.items() if count > 1)


def _name(event: Event) -> str:
    return event.WhichOneof("payload") or "nothing"
