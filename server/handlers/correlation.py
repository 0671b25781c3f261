"""What the running call's effects are tied together by."""

from __future__ import annotations

from server.telemetry.correlation import current_correlation_id


def correlation_id() -> str:
    """The id of the running call; every call that came through the interceptors has one."""
    current = current_correlation_id()
    if current is None:
        raise AssertionError("a handler was called without its interceptors")
    return current
