"""What the running call's effects are tied together by."""

from __future__ import annotations

from services.application.correlation import current_correlation_id, current_traceparent


def correlation_id() -> str:
    """The id of the running call; every call that came through the interceptors has one."""
    current = current_correlation_id()
    if current is None:
        raise AssertionError("a handler was called without its interceptors")
    return current


def traceparent() -> str | None:
    """The W3C `traceparent` that the caller has sent, if it did."""
    return current_traceparent()
