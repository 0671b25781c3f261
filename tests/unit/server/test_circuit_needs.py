"""The table of what each RPC needs covers the contract, and lets through what must never be refused."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import agent_runtime.v1
from agent_runtime.v1 import input_pb2
from agent_runtime.v1.message_service_pb2 import SendMessageRequest
from server.interceptors.needs import ANSWERED_FROM_MEMORY, NEEDS_NOTHING, SEND_MESSAGE, needs_of
from services.application.ports.circuits import Need


def methods() -> set[str]:
    """Every RPC of the contract, as gRPC names it."""
    found = set()
    for module in pkgutil.iter_modules(agent_runtime.v1.__path__):
        if module.name.endswith("_service_pb2"):
            descriptor = importlib.import_module(f"agent_runtime.v1.{module.name}").DESCRIPTOR
            for service in descriptor.services_by_name.values():
                found |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return found


def test_the_table_names_rpcs_of_the_contract() -> None:
    assert {SEND_MESSAGE} | NEEDS_NOTHING | ANSWERED_FROM_MEMORY < methods()


def test_all_but_the_operators_two_need_the_database_and_no_other_rpc_the_model() -> None:
    for method in methods():
        expected = frozenset() if method.endswith(("/GetStatus", "/SetLogLevel")) else {Need.DATABASE}
        assert needs_of(method, object()) == expected


@pytest.mark.parametrize(
    ("request_", "needs_model"),
    [
        (SendMessageRequest(user_message=input_pb2.UserMessage(text="hi")), True),
        (SendMessageRequest(resume=input_pb2.Resume()), True),
        (SendMessageRequest(user_message=input_pb2.UserMessage(text="hi"), after_sequence=0), False),
        (SendMessageRequest(resume=input_pb2.Resume(), after_sequence=7), False),
        (SendMessageRequest(tool_results=input_pb2.ToolResults()), False),
        (SendMessageRequest(approval_decision=input_pb2.ApprovalDecision()), False),
        (SendMessageRequest(followup_answer=input_pb2.FollowupAnswer()), False),
        (SendMessageRequest(), False),
    ],
)
def test_only_what_begins_something_new_needs_the_model(request_: SendMessageRequest, needs_model: bool) -> None:
    assert needs_of(SEND_MESSAGE, request_) == {Need.DATABASE} | ({Need.MODEL} if needs_model else set())
