"""How a model call fails: each cause has a kind, a fixed text fit for clients, and whether trying again may help."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

from services.domain.errors import ErrorReason
from services.domain.model_exchange import ModelError

MAX_RETRY_AFTER = 60.0

_RETRYABLE_CLIENT_STATUS = frozenset({408, 409, 425, 429})
_HOPELESS_SERVER_STATUS = frozenset({501, 505})


class FailureKind(StrEnum):
    """What went wrong, for metrics and for whoever decides about retries."""

    CONNECTION = "connection"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    TRUNCATED = "truncated"
    STATUS = "status"
    IN_BAND = "in_band"
    BAD_UPSTREAM = "bad_upstream"
    TOO_LARGE = "too_large"


class UpstreamError(ModelError):
    """A ModelError that also says its kind and, if the provider gave one, the status (HTTP, or the in-band code)."""

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retryable: bool,
        reason: ErrorReason = ErrorReason.LLM_UNAVAILABLE,
        retry_after: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message, retryable=retryable, reason=reason, retry_after=retry_after)
        self.kind = kind
        self.status = status


def stalled() -> UpstreamError:
    """No byte, or nothing that means anything, for too long."""
    return UpstreamError(FailureKind.STALLED, "the model stopped sending its answer", retryable=True)


def out_of_time() -> UpstreamError:
    """The whole answer took longer than allowed."""
    return UpstreamError(FailureKind.TIMEOUT, "the model took too long to answer", retryable=True)


def truncated() -> UpstreamError:
    """The stream ended as if all were well, but the model never said that it had finished."""
    return UpstreamError(FailureKind.TRUNCATED, "the model's answer was cut off", retryable=True)


def bad_upstream(detail: str = "the model provider sent something that is not a chat completion") -> UpstreamError:
    """Bytes that make no sense as an answer."""
    return UpstreamError(FailureKind.BAD_UPSTREAM, detail, retryable=True, reason=ErrorReason.LLM_BAD_RESPONSE)


def too_large(what: str) -> UpstreamError:
    """An answer beyond one of the fixed limits; `what` names the limit."""
    return UpstreamError(
        FailureKind.TOO_LARGE,
        f"the model's answer exceeds a limit: {what}",
        retryable=False,
        reason=ErrorReason.LLM_BAD_RESPONSE,
    )


def rejected_status(
    status: int, *, code: str | None = None, retry_after: float | None = None, kind: FailureKind = FailureKind.STATUS
) -> UpstreamError:
    """The error for a status that is no success; `code` is the provider's own word for it, if it said one."""
    reason, retryable = ErrorReason.LLM_UNAVAILABLE, False
    if code == "context_length_exceeded":
        reason, message = ErrorReason.CONTEXT_FULL, "the conversation is longer than the model can read"
    elif status in _RETRYABLE_CLIENT_STATUS or (status >= 500 and status not in _HOPELESS_SERVER_STATUS):
        retryable = True
        message = "the model provider is busy" if status in (429, 503, 529) else "the model provider failed"
    elif status in (401, 403):
        message = "the model provider refused the runtime's credentials"
    elif status == 404:
        message = "the model provider knows no such model or address"
    elif 300 <= status < 400:
        message = "the model provider redirected the request, which is not followed"
    else:
        reason, message = ErrorReason.LLM_BAD_RESPONSE, "the model provider rejected the request"
    return UpstreamError(
        kind, message, retryable=retryable, reason=reason, retry_after=retry_after if retryable else None, status=status
    )


def in_band(code: object) -> UpstreamError:
    """The error for one reported inside a stream that began as a success; a code that says nothing is worth a retry."""
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:4])
    if isinstance(code, int) and 400 <= code <= 599:
        return rejected_status(code, kind=FailureKind.IN_BAND)
    if code == "context_length_exceeded":
        return rejected_status(400, code=code, kind=FailureKind.IN_BAND)
    return UpstreamError(FailureKind.IN_BAND, "the model provider reported an error", retryable=True)


_CONNECTION_LOST = (FailureKind.CONNECTION, "the connection to the model provider was lost", True)
_TIMED_OUT = (FailureKind.TIMEOUT, "the model provider did not react in time", True)
_UNREACHABLE = (FailureKind.CONNECTION, "the model provider cannot be reached", True)
_MISCONFIGURED = (FailureKind.CONNECTION, "the model provider's address cannot be used", False)

TRANSPORT_FAILURES: dict[type[Exception], tuple[FailureKind, str, bool]] = {
    httpx.TimeoutException: _TIMED_OUT,
    httpx.ConnectTimeout: _UNREACHABLE,
    httpx.ConnectError: _UNREACHABLE,
    httpx.ProxyError: _UNREACHABLE,
    httpx.HTTPError: _CONNECTION_LOST,
    httpx.LocalProtocolError: _MISCONFIGURED,
    httpx.UnsupportedProtocol: _MISCONFIGURED,
    httpx.TooManyRedirects: _MISCONFIGURED,
    httpx.InvalidURL: _MISCONFIGURED,
    httpx.CookieConflict: _CONNECTION_LOST,
    httpx.StreamError: _CONNECTION_LOST,
}


def transport_failure(error: Exception) -> UpstreamError:
    """The error for whatever the HTTP client raised; what it does not document is taken for a lost connection."""
    for cls in type(error).__mro__:
        if cls in TRANSPORT_FAILURES:
            kind, message, retryable = TRANSPORT_FAILURES[cls]
            return UpstreamError(kind, message, retryable=retryable)
    kind, message, retryable = _CONNECTION_LOST
    return UpstreamError(kind, message, retryable=retryable)


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds to wait by a Retry-After header (seconds or an HTTP date), at most 60; None if absent or senseless."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else None
