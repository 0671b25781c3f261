"""The id and the trace of the call that the running task works for, in calls as in the turns they have caused."""

from __future__ import annotations

from contextvars import ContextVar

_correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
_traceparent: ContextVar[str | None] = ContextVar("traceparent", default=None)


def current_correlation_id() -> str | None:
    """The id of the call this task works for, also in tasks that the call started; None outside of calls."""
    return _correlation_id.get()


def current_traceparent() -> str | None:
    """The caller's valid W3C `traceparent`, or None."""
    return _traceparent.get()


def bind_correlation(correlation_id: str, traceparent: str | None) -> None:
    """Tie the running task, and tasks it starts from now on, to a call; the task of a turn to one turn after another.

    Never undone: the task ends with its work.
    """
    _correlation_id.set(correlation_id)
    _traceparent.set(traceparent)
