"""Every failure has a kind, a safe text and a right answer to whether trying again may help."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime

import httpx
import pytest

from services.domain.errors import ErrorReason
from services.infrastructure.llm.failures import (
    TRANSPORT_FAILURES,
    FailureKind,
    parse_retry_after,
    rejected_status,
    transport_failure,
)

HTTPX_ERRORS = sorted(
    {cls for _, cls in inspect.getmembers(httpx, inspect.isclass) if issubclass(cls, Exception)},
    key=lambda cls: cls.__name__,
)


def instance(cls: type[Exception]) -> Exception:
    """Their constructors differ; what they say must not matter."""
    error = cls.__new__(cls)
    error.args = ("http://secret.example/?key=sk-123",)
    return error


def test_the_list_is_not_empty() -> None:
    assert len(HTTPX_ERRORS) > 20


@pytest.mark.parametrize("cls", HTTPX_ERRORS)
def test_every_httpx_error_is_translated(cls: type[Exception]) -> None:
    assert any(base in TRANSPORT_FAILURES for base in cls.__mro__)
    failed = transport_failure(instance(cls))
    assert failed.reason is ErrorReason.LLM_UNAVAILABLE
    assert "secret" not in failed.message


@pytest.mark.parametrize(
    ("cls", "kind", "retryable"),
    [
        (httpx.ConnectError, FailureKind.CONNECTION, True),
        (httpx.ConnectTimeout, FailureKind.CONNECTION, True),
        (httpx.ReadTimeout, FailureKind.TIMEOUT, True),
        (httpx.PoolTimeout, FailureKind.TIMEOUT, True),
        (httpx.ReadError, FailureKind.CONNECTION, True),
        (httpx.RemoteProtocolError, FailureKind.CONNECTION, True),
        (httpx.InvalidURL, FailureKind.CONNECTION, False),
        (httpx.UnsupportedProtocol, FailureKind.CONNECTION, False),
        (OSError, FailureKind.CONNECTION, True),
        (ZeroDivisionError, FailureKind.CONNECTION, True),
    ],
)
def test_kinds(cls: type[Exception], kind: FailureKind, retryable: bool) -> None:
    failed = transport_failure(instance(cls))
    assert (failed.kind, failed.retryable) == (kind, retryable)


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(s, True) for s in (408, 409, 425, 429, 500, 502, 503, 504, 529)]
    + [(s, False) for s in (302, 400, 401, 403, 404, 413, 422, 501)],
)
def test_statuses(status: int, retryable: bool) -> None:
    failed = rejected_status(status, retry_after=7.0)
    assert (failed.retryable, failed.status) == (retryable, status)
    assert failed.retry_after == (7.0 if retryable else None)


def test_a_conversation_too_long_is_told_apart() -> None:
    for complaint in (
        "context_length_exceeded",
        "This model's maximum context length is 4096 tokens",
        "exceed_context_size_error the request exceeds the available context size",
        "litellm.ContextWindowExceededError: prompt is too long",
    ):
        assert rejected_status(400, complaint=complaint).reason is ErrorReason.CONTEXT_FULL
    assert rejected_status(400).reason is ErrorReason.LLM_BAD_RESPONSE


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("3600", 60.0),
        ("Thu, 01 Jan 2026 00:00:20 GMT", 20.0),
        ("Wed, 31 Dec 2025 23:59:20 GMT", 0.0),
        ("Thu, 01 Jan 2026 00:00:20 -0000", 20.0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, datetime(2026, 1, 1, tzinfo=UTC)) == seconds
