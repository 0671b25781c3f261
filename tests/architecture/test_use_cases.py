"""One RPC, one use case, one file that is named after it: whoever knows the contract finds the code."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import agent_runtime.v1
from server.handlers.not_implemented import NOT_IMPLEMENTED_YET
from tests.architecture.source_tree import project_files

_FOLDERS = {
    "SessionService": "sessions",
    "AgentService": "agents",
    "MessageService": "messages",
    "ApprovalService": "approvals",
    "OperationsService": "operations",
}


def _rpcs() -> Iterator[tuple[str, str]]:
    """(service, RPC) of everything in the contract."""
    for module in pkgutil.iter_modules(agent_runtime.v1.__path__):
        if module.name.endswith("_service_pb2"):
            descriptor = importlib.import_module(f"agent_runtime.v1.{module.name}").DESCRIPTOR
            for service in descriptor.services_by_name.values():
                for method in service.methods:
                    yield service.name, method.name


def _snake_case(rpc: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", rpc).lower()


def _files_named_after(rpc: str) -> list[str]:
    name = f"{_snake_case(rpc)}.py"
    return [
        path.as_posix() for path in project_files() if path.is_relative_to("services/application") and path.name == name
    ]


def test_every_service_of_the_contract_has_its_folder() -> None:
    assert {service for service, _ in _rpcs()} == set(_FOLDERS)


def test_every_rpc_has_exactly_one_use_case_file_unless_listed_as_not_implemented_yet() -> None:
    wrong = {}
    for service, rpc in _rpcs():
        listed = f"{service}/{rpc}" in NOT_IMPLEMENTED_YET
        expected = [] if listed else [f"services/application/{_FOLDERS[service]}/{_snake_case(rpc)}.py"]
        if (found := _files_named_after(rpc)) != expected:
            wrong[f"{service}/{rpc}"] = f"expected {expected}, found {found}"
    assert wrong == {}


def test_the_list_of_what_is_not_implemented_names_only_rpcs_of_the_contract_and_each_once() -> None:
    assert set(NOT_IMPLEMENTED_YET) <= {f"{service}/{rpc}" for service, rpc in _rpcs()}
    assert len(set(NOT_IMPLEMENTED_YET)) == len(NOT_IMPLEMENTED_YET)
