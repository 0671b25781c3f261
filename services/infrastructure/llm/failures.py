"""How a model call fails: each cause has a kind, a fixed text fit for clients, and whether trying again may help."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

import httpx

from services.domain.errors import ErrorReason
from services.domain.model_exchange import ModelError

MAX_RETRY_AFTER = 60.0

_TRANSIENT_STATUS = frozenset({429, 500, 502, 503, 504, 529})
_RETRYABLE_CLIENT_STATUS = frozenset({408, 409, 425, 429})
_HOPELESS_SERVER_STATUS = frozenset({501, 505})
_MAX_COMPLAINT = 2000
# OpenAI, llama.cpp, vLLM, LiteLLM and those behind it; there is no common code for it.
_TOO_LONG = re.compile(
    "context_length_exceeded|exceed_context_size|ContextWindowExceeded|maximum context length|prompt is too long",
    re.IGNORECASE,
)


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
    CIRCUIT_OPEN = "circuit_open"


_NO_CONTACT = frozenset({FailureKind.CONNECTION, FailureKind.TIMEOUT, FailureKind.STALLED})


class UpstreamError(ModelError):
    """A ModelError that also says its kind and, if the provider gave one, the status (HTTP, or the in-band code).

    `complaint` is what the provider wrote about a request it refused: for changing the request, never for anybody's
    eyes.
    """

    def __init__(
        self,
        kind: FailureKind,
        message: str,
        *,
        retryable: bool,
        reason: ErrorReason = ErrorReason.LLM_UNAVAILABLE,
        retry_after: float | None = None,
        status: int | None = None,
        complaint: str = "",
    ) -> None:
        super().__init__(message, retryable=retryable, reason=reason, retry_after=retry_after)
        self.kind = kind
        self.status = status
        self.complaint = complaint

    @property
    def transient(self) -> bool:
        """Whether the same request may well succeed in a few seconds, so that the runtime itself asks again.

        What is retryable without this is for the caller to decide: a person, who resumes the turn.
        """
        if not self.retryable:
            return False
        return self.kind in _NO_CONTACT or self.status in _TRANSIENT_STATUS or self._unexplained

    @property
    def blames_route(self) -> bool:
        """Whether it is a sign that nobody gets an answer there; otherwise it may be due to this one question."""
        if self.status is not None:
            return self.status >= 500
        return self.kind in _NO_CONTACT or self.kind is FailureKind.TRUNCATED or self._unexplained

    @property
    def worth_asking_elsewhere(self) -> bool:
        """Whether another route may answer the same question."""
        return self.retryable or self.reason is ErrorReason.LLM_UNAVAILABLE

    @property
    def _unexplained(self) -> bool:
        """An error told inside a stream without any code counts as the provider's own."""
        return self.kind is FailureKind.IN_BAND and self.status is None and self.retryable


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


def circuit_open(seconds: float) -> UpstreamError:
    """Every route has failed several times in a row, and none may be asked for so long."""
    return UpstreamError(
        FailureKind.CIRCUIT_OPEN, "the model is away; it is not asked for now", retryable=True, retry_after=seconds
    )


def rejected_status(
    status: int,
    *,
    complaint: str = "",
    retry_after: float | None = None,
    kind: FailureKind = FailureKind.STATUS,
) -> UpstreamError:
    """The error for a status that is no success; `complaint` is what the provider wrote about it."""
    reason, retryable = ErrorReason.LLM_UNAVAILABLE, False
    if 400 <= status < 500 and status != 429 and _TOO_LONG.search(complaint):
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
        kind,
        message,
        retryable=retryable,
        reason=reason,
        retry_after=retry_after if retryable else None,
        status=status,
        complaint=complaint,
    )


def in_band(error: object) -> UpstreamError:
    """The error for one reported inside a stream that began as a success: an object with `code` or `status`, or text.

    One that says nothing is worth a retry.
    """
    complaint = complaint_of(error)
    code = error.get("code") or error.get("status") if isinstance(error, Mapping) else None
    if isinstance(code, str) and code.isascii() and code.isdigit():
        code = int(code[:4])
    if isinstance(code, int) and 400 <= code <= 599:
        return rejected_status(code, complaint=complaint, kind=FailureKind.IN_BAND)
    if _TOO_LONG.search(complaint):
        return rejected_status(400, complaint=complaint, kind=FailureKind.IN_BAND)
    return UpstreamError(FailureKind.IN_BAND, "the model provider reported an error", retryable=True)


def complaint_of(error: object) -> str:
    """What an error object of a provider says, in whichever of the usual fields; the beginning of a long text."""
    if isinstance(error, str):
        return error[:_MAX_COMPLAINT]
    if not isinstance(error, Mapping):
        return ""
    said = (error.get(name) for name in ("code", "type", "param", "message"))
    return " ".join(text[:_MAX_COMPLAINT] for text in said if isinstance(text, str))


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
