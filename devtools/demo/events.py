"""Finds in a session's events what a scene goes on with, and in its whole log what happened more often than it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from agent_runtime.v1.session_event_pb2 import SessionEvent


class StoryBrokenError(Exception):
    """What happened is not what the story is about, so it cannot go on."""


def only(events: Sequence[SessionEvent], kind: str) -> Any:
    """The one payload of this kind. Raises StoryBrokenError if there is none, or more."""
    found = payloads(events, kind)
    if len(found) != 1:
        kinds = ", ".join(str(event.WhichOneof("payload")) for event in events)
        raise StoryBrokenError(f"expected one {kind}, got {len(found)} in: {kinds}")
    return found[0]


def payloads(events: Iterable[SessionEvent], kind: str) -> list[Any]:
    """All payloads of this kind, in order."""
    return [getattr(event, kind) for event in events if event.WhichOneof("payload") == kind]


def as_bytes(events: Iterable[SessionEvent]) -> list[bytes]:
    """Each event as bytes that are the same for the same event."""
    return [event.SerializeToString(deterministic=True) for event in events]


def is_numbered(events: Sequence[SessionEvent], after: int = 0) -> bool:
    """Whether there are events, and their numbers go on from `after`, one by one."""
    return bool(events) and [event.sequence for event in events] == list(range(after + 1, after + 1 + len(events)))


def not_once(log: Sequence[SessionEvent]) -> list[str]:
    """What was ordered, recorded or decided more often than once, or never although it had to be; empty if all is well.

    A call is made by an assistant message and has one result. An order and an approval are optional, but for those who
    asked for approval: that is resolved once, and the call is ordered if it was released.
    """
    made = [call.id for message in payloads(log, "message_added") for call in message.message.tool_calls]
    ordered = [call.id for order in payloads(log, "tool_calls_requested") for call in order.calls]
    recorded = [result.tool_call_id for result in payloads(log, "tool_result_recorded")]
    asked = [request.approval.id for request in payloads(log, "approval_requested")]
    resolutions = payloads(log, "approval_resolved")
    resolved = [resolution.approval_id for resolution in resolutions]
    released = [resolution.tool_call_id for resolution in resolutions if resolution.released]
    held = [resolution.tool_call_id for resolution in resolutions if not resolution.released]
    return [
        *_differences("calls and results", made, recorded),
        *_differences("approvals and decisions", asked, resolved),
        *(f"ordered {count} times: {call}" for call, count in Counter(ordered).items() if count != 1),
        *(f"approved, but not ordered: {call}" for call in released if call not in ordered),
        *(f"not approved, but ordered: {call}" for call in held if call in ordered),
    ]


def _differences(what: str, wanted: Sequence[str], found: Sequence[str]) -> list[str]:
    """Empty if both hold the same ids, each once."""
    counted = Counter(found)
    return [f"{what}: {id} has {counted[id]}" for id in {*wanted, *found} if counted[id] != 1 or id not in wanted]
