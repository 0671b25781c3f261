"""Holds the contract to its own style, so that a client that has learnt one RPC knows them all."""

from __future__ import annotations

import keyword
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from agent_runtime.v1.error_reason_pb2 import ErrorReason as WireReason
from devtools import generate
from services.domain.errors import ErrorReason

PROTOS = sorted((generate.PROTOS / "agent_runtime" / "v1").glob("*.proto"))

SERVICES = {
    "SessionService": "CreateSession GetSession ListSessions UpdateSession DeactivateSession ActivateSession"
    " DeleteSession ClearMessages ForkSession ListMessages GetSessionUsage",
    "AgentService": "ListAgents GetAgent GetAgentContext SwitchAgent ResetAgent ListAgentSwitches GetAgentUsageStats",
    "MessageService": "SendMessage WatchSession CancelTurn GetTurn ListTurns ListOpenToolCalls ListPendingInputs"
    " WithdrawInput",
    "ApprovalService": "ListApprovals GetApproval DecideApproval ListApprovalRules CreateApprovalRule"
    " DeleteApprovalRule",
    "OperationsService": "GetStatus ListDeadLetters RetryDeadLetters DeleteDeadLetters ListAuditRecords CleanUpSessions"
    " ReloadAgents SetLogLevel",
}
STREAMING = {"SendMessage", "WatchSession"}


def file_descriptors() -> list[FileDescriptor]:
    return [import_module(f"agent_runtime.v1.{path.stem}_pb2").DESCRIPTOR for path in PROTOS]


def services() -> list[ServiceDescriptor]:
    return [service for file in file_descriptors() for service in file.services_by_name.values()]


def methods() -> list[MethodDescriptor]:
    return [method for service in services() for method in service.methods]


def is_read(method: MethodDescriptor) -> bool:
    return method.name.startswith(("Get", "List", "Watch"))


READS = [method for method in methods() if is_read(method)]
MUTATIONS = [method for method in methods() if not is_read(method)]
LISTS = [method for method in methods() if method.name.startswith("List")]


def name(method: MethodDescriptor) -> str:
    return method.name


def test_every_announced_rpc_exists_and_no_other() -> None:
    assert {service.name: [method.name for method in service.methods] for service in services()} == {
        service: rpcs.split() for service, rpcs in SERVICES.items()
    }


def test_error_reasons_are_those_of_the_domain() -> None:
    wire = set(WireReason.keys()) - {"ERROR_REASON_UNSPECIFIED"}
    assert wire == {f"ERROR_REASON_{reason.value}" for reason in ErrorReason}


@pytest.mark.parametrize("method", methods(), ids=name)
def test_an_rpc_has_its_own_request_and_response(method: MethodDescriptor) -> None:
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"
    assert not method.client_streaming
    assert method.server_streaming == (method.name in STREAMING)


@pytest.mark.parametrize("method", LISTS, ids=name)
def test_a_list_is_paged(method: MethodDescriptor) -> None:
    request, response = method.input_type.fields_by_name, method.output_type.fields_by_name
    assert request["page_size"].type == request["page_size"].TYPE_INT32
    assert request["page_token"].type == request["page_token"].TYPE_STRING
    assert response["next_page_token"].type == response["next_page_token"].TYPE_STRING
    assert [field.name for field in method.output_type.fields if field.is_repeated] != []


@pytest.mark.parametrize("method", READS, ids=name)
def test_a_read_has_no_side_effects(method: MethodDescriptor) -> None:
    assert method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    assert "request_id" not in method.input_type.fields_by_name


@pytest.mark.parametrize("method", MUTATIONS, ids=name)
def test_a_mutation_takes_a_request_id(method: MethodDescriptor) -> None:
    assert method.GetOptions().idempotency_level == MethodOptions.IDEMPOTENCY_UNKNOWN
    assert (
        method.input_type.fields_by_name["request_id"].type
        == method.input_type.fields_by_name["request_id"].TYPE_STRING
    )


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.name)
def test_a_file_stays_readable(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 260
    assert [line for line in lines if len(line) > 120] == []


def test_nothing_is_defined_that_no_rpc_can_carry() -> None:
    reachable: set[str] = set()
    for method in methods():
        for root in (method.input_type, method.output_type):
            _reach(root, reachable)
    defined = {
        item.full_name
        for file in file_descriptors()
        for item in (*file.message_types_by_name.values(), *file.enum_types_by_name.values())
    }
    assert defined - reachable == set()


def test_no_field_has_a_name_python_reserves() -> None:
    fields = [
        field.name for file in file_descriptors() for m in file.message_types_by_name.values() for field in m.fields
    ]
    assert [field for field in fields if keyword.iskeyword(field)] == []


def test_the_check_of_generated_code_names_every_difference(tmp_path: Path) -> None:
    fresh, committed = tmp_path / "fresh", tmp_path / "committed"
    for directory, contents in (
        (fresh, {"same": "a", "new": "b", "changed": "c"}),
        (committed, {"same": "a", "changed": "d", "old": "e"}),
    ):
        directory.mkdir()
        for file, content in contents.items():
            (directory / file).write_text(content)

    assert generate.compare(fresh, committed) == [
        "differs  generated/changed",
        "missing  generated/new",
        "stale    generated/old",
    ]
    generate.replace(fresh, committed)
    assert generate.compare(fresh, committed) == []


def _reach(message: Descriptor, reached: set[str]) -> None:
    """Adds the full names of a message and of everything its fields can hold."""
    if message.full_name in reached:
        return
    reached.add(message.full_name)
    for field in message.fields:
        if field.message_type is not None:
            _reach(field.message_type, reached)
        if field.enum_type is not None:
            reached.add(field.enum_type.full_name)
