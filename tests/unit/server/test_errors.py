"""The table of errors: complete, in agreement with the contract, and always small enough for the trailers."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

import services
from server.errors import CODES, DOMAIN, MAX_DETAILS_BYTES, MAX_MESSAGE_BYTES, code_of, internal_status, status_of
from services.domain.errors import (
    ErrorReason,
    FieldViolation,
    InvalidArgumentError,
    RateLimitedError,
    ResourceExhaustedError,
    RuntimeServiceError,
    SessionNotFoundError,
    TurnInProgressError,
)
from services.domain.model_exchange import ModelError

ROOT = Path(__file__).parents[3]
# A failed model call is a turn's outcome; as a status of its own it says only that the model is away.
CLASSES_OF_TURN_OUTCOMES = {ModelError}


def every_error() -> list[type[RuntimeServiceError]]:
    """All subclasses in the application, wherever they are defined."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if ".migrations" not in module.name:
            importlib.import_module(module.name)
    found: list[type[RuntimeServiceError]] = []
    waiting = [RuntimeServiceError]
    while waiting:
        children = waiting.pop().__subclasses__()
        found += children
        waiting += children
    return [error for error in found if error.__module__.startswith("services.")]


def codes_in_the_contract() -> dict[str, str]:
    """Reason → code, from the comments of the contract: `// [NOT_FOUND] …` before `ERROR_REASON_SESSION_NOT_FOUND`."""
    text = (ROOT / "protos/agent_runtime/v1/error_reason.proto").read_text(encoding="utf-8")
    return {reason: code for code, reason in re.findall(r"// \[([A-Z_]+)\][^=]*?\n\s*ERROR_REASON_([A-Z_]+) =", text)}


def unpacked(status: Status) -> dict[str, ErrorInfo | RetryInfo | BadRequest | QuotaFailure]:
    kinds = {kind.DESCRIPTOR.full_name: kind for kind in (ErrorInfo, RetryInfo, BadRequest, QuotaFailure)}
    details = {}
    for packed in status.details:
        kind = kinds[packed.type_url.rpartition("/")[2]]
        detail = kind()
        assert packed.Unpack(detail)
        details[kind.__name__] = detail
    return details


def test_every_error_class_has_a_code() -> None:
    errors = every_error()
    assert len(errors) > 30
    assert [error.__name__ for error in errors if code_of(error) is grpc.StatusCode.INTERNAL] == []


def test_code_and_reason_agree_with_the_contract() -> None:
    contract = codes_in_the_contract()
    assert len(contract) > 30
    for error in every_error():
        if error.reason is not ErrorReason.INTERNAL and error not in CLASSES_OF_TURN_OUTCOMES:
            assert code_of(error).name == contract[error.reason.value], error


def test_the_table_holds_no_class_that_its_base_already_covers() -> None:
    for error in CODES:
        assert not any(base in CODES for base in error.__mro__[1:])


def test_a_status_names_reason_domain_and_metadata() -> None:
    status = status_of(TurnInProgressError("a turn is active", metadata={"turn_id": "turn_1", "state": "RUNNING"}))
    assert (status.code, status.message) == (grpc.StatusCode.ABORTED.value[0], "a turn is active")
    info = unpacked(status)["ErrorInfo"]
    assert info == ErrorInfo(
        reason="TURN_IN_PROGRESS", domain=DOMAIN, metadata={"turn_id": "turn_1", "state": "RUNNING"}
    )
    assert list(unpacked(status)) == ["ErrorInfo"]


def test_waiting_quotas_and_fields_are_told_when_there_are_any() -> None:
    limited = unpacked(status_of(RateLimitedError("slow down", retry_after=1.5, quota=("principal:a", "60 a minute"))))
    retry, quota = limited["RetryInfo"], limited["QuotaFailure"]
    assert isinstance(retry, RetryInfo)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 1.5
    assert isinstance(quota, QuotaFailure)
    assert (quota.violations[0].subject, quota.violations[0].description) == ("principal:a", "60 a minute")

    violations = [FieldViolation("session_id", "is required"), FieldViolation("results[3].text", "is too long")]
    refused = unpacked(status_of(InvalidArgumentError(violations)))["BadRequest"]
    assert isinstance(refused, BadRequest)
    assert [violation.field for violation in refused.field_violations] == ["session_id", "results[3].text"]


def test_violations_that_do_not_fit_are_counted() -> None:
    violations = [FieldViolation(f"results[{n}].text", "x" * 200) for n in range(1000)]
    status = status_of(InvalidArgumentError(violations))
    refused = unpacked(status)["BadRequest"]
    assert isinstance(refused, BadRequest)
    assert status.ByteSize() <= MAX_DETAILS_BYTES
    shown = len(refused.field_violations) - 1
    assert shown > 5
    assert refused.field_violations[-1].description == f"and {1000 - shown} more"


any_text = st.text(alphabet=st.characters(), max_size=3000) | st.text(alphabet="\ud800я€🌍\x00", max_size=3000)


@given(
    message=any_text,
    metadata=st.dictionaries(any_text, any_text, max_size=20),
    retry_after=st.none() | st.floats(-1, 1e6),
    quota=st.none() | st.tuples(any_text, any_text),
    violations=st.lists(st.builds(FieldViolation, any_text, any_text), max_size=30),
)
def test_whatever_is_said_fits_and_can_be_sent(
    message: str,
    metadata: dict[str, str],
    retry_after: float | None,
    quota: tuple[str, str] | None,
    violations: list[FieldViolation],
) -> None:
    exhausted = ResourceExhaustedError(message, metadata=metadata, retry_after=retry_after, quota=quota)
    invalid = InvalidArgumentError(violations, message)
    for error in (exhausted, invalid):
        status = status_of(error)
        assert len(status.message.encode()) <= MAX_MESSAGE_BYTES
        assert status.ByteSize() <= MAX_DETAILS_BYTES
        assert unpacked(status)


def test_the_internal_status_is_fixed_but_for_the_correlation_id() -> None:
    one, two = internal_status("id-1"), internal_status("id-2")
    assert one.message.replace("id-1", "id-2") == two.message
    assert one.code == grpc.StatusCode.INTERNAL.value[0]
    assert unpacked(one)["ErrorInfo"] == ErrorInfo(
        reason="INTERNAL", domain=DOMAIN, metadata={"correlation_id": "id-1"}
    )


@pytest.mark.parametrize("error", [SessionNotFoundError()])
def test_the_caller_reads_the_domain_message(error: RuntimeServiceError) -> None:
    assert status_of(error).message == error.message
