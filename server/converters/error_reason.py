"""Error reasons as fields of messages; those of a refused call travel in its status."""

from __future__ import annotations

from collections.abc import Mapping

from agent_runtime.v1 import error_reason_pb2
from services.domain.errors import ErrorReason

# The names are the same on both sides, by contract; one that is missing here stops the start.
ERROR_REASONS: Mapping[ErrorReason, error_reason_pb2.ErrorReason.ValueType] = {
    reason: error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{reason.value}") for reason in ErrorReason
}
