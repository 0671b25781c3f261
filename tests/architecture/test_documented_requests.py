"""The JSON that docs/clients.md shows is what it says it is, and a server would take it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from agent_runtime.v1.approval_service_pb2 import CreateApprovalRuleRequest
from agent_runtime.v1.message_service_pb2 import SendMessageRequest
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.session_history_pb2 import ForkSessionRequest
from agent_runtime.v1.session_service_pb2 import GetSessionUsageRequest, UpdateSessionRequest
from devtools.scripted_model.script import parse_script
from server.converters.approval_requests import from_create_approval_rule
from server.converters.message_requests import from_send_message
from server.converters.session_requests import from_fork_session, from_get_session, from_update_session
from tests.architecture.source_tree import ROOT

_EXAMPLES = re.findall(r"^```json (\w+)\n(.*?)^```", (ROOT / "docs/clients.md").read_text(), re.DOTALL | re.MULTILINE)
_KINDS: dict[str, type[Message]] = {
    kind.DESCRIPTOR.name: kind
    for kind in (
        SendMessageRequest,
        SessionEvent,
        UpdateSessionRequest,
        ForkSessionRequest,
        CreateApprovalRuleRequest,
        GetSessionUsageRequest,
    )
}
_CHECKS: dict[str, Callable[[Message], object]] = {
    "SendMessageRequest": lambda request: from_send_message(request, max_text_bytes=1000),  # type: ignore[arg-type]
    "CreateApprovalRuleRequest": lambda request: from_create_approval_rule(request),  # type: ignore[arg-type]
    "ForkSessionRequest": lambda request: from_fork_session(request),  # type: ignore[arg-type]
    "GetSessionUsageRequest": lambda request: from_get_session(request),  # type: ignore[arg-type]
    "UpdateSessionRequest": lambda request: from_update_session(request),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("kind", "text"), _EXAMPLES)
def test_an_example_is_a_message_of_its_kind_that_passes_the_checks(kind: str, text: str) -> None:
    message = _KINDS[kind]()
    json_format.Parse(text, message)
    _CHECKS.get(kind, bool)(message)


def test_there_is_an_example_of_every_input_that_is_offered() -> None:
    inputs = {
        json_format.Parse(text, SendMessageRequest()).WhichOneof("input")
        for kind, text in _EXAMPLES
        if kind == "SendMessageRequest"
    }
    assert inputs == {"user_message", "tool_results", "approval_decision", "followup_answer", "resume"}


def test_the_script_of_the_first_session_is_one() -> None:
    parse_script((ROOT / "docs/first-session.json").read_bytes())
