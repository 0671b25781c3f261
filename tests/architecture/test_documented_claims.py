"""What the pages say and the code can contradict: what is offered, what is sent, which test shows what."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest

from agent_runtime.v1.session_event_pb2 import SessionEvent
from server.handlers.not_implemented import NOT_IMPLEMENTED_YET
from server.setting_groups import Sizes
from services.domain import errors, session_events
from services.domain.agent_context import SwitchSource
from services.domain.approval import ApprovalState
from services.domain.errors import ErrorReason, RuntimeServiceError, ToolResultTooLargeError
from services.domain.input import Disposition
from services.domain.tool_call import ToolCallState, ToolResultSource
from services.domain.turn import CancelCause, TurnResumeCause, TurnStartCause, WaitingFor
from tests.architecture.source_tree import ROOT, project_files, python_files

_CLIENTS = (ROOT / "docs/clients.md").read_text()
_OPERATORS = (ROOT / "docs/operators.md").read_text()
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")
_CODE = re.compile(r"`([\w.]+)`")

_ERRORS: Mapping[str, type[RuntimeServiceError]] = {
    name: kind
    for name, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, RuntimeServiceError) and "reason" in vars(kind)
}
_ENUMS: Mapping[str, type[StrEnum]] = {
    "InputDisposition": Disposition,
    "WaitReason": WaitingFor,
    "TurnStartCause": TurnStartCause,
    "TurnResumeCause": TurnResumeCause,
    "TurnCancellationCause": CancelCause,
    "ApprovalState": ApprovalState,
    "ToolResultSource": ToolResultSource,
    "AgentSwitchSource": SwitchSource,
}


def _section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one of any level."""
    return re.split(r"^#+ ", page.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def _sentence(page: str, beginning: str) -> str:
    """From these words on to the end of the paragraph or the next full stop."""
    return re.split(r"\.\s|\n\n", page.split(beginning, 1)[1], maxsplit=1)[0]


def _rows(table: str) -> Iterator[list[str]]:
    """The cells of each row, without the head of the table."""
    for line in re.findall(r"^\| (?!-)(.*) \|$", table, re.MULTILINE):
        yield [cell.strip() for cell in line.split("|")]


def _calls(*folders: str) -> Iterator[ast.Call]:
    for _, tree in python_files(*folders):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _named(*folders: str) -> set[str]:
    """`Class.MEMBER` wherever that is written."""
    return {
        f"{node.value.id}.{node.attr}"
        for _, tree in python_files(*folders)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }


def test_clients_are_told_exactly_which_rpcs_are_not_offered_yet() -> None:
    told = {
        f"{service}/{rpc}"
        for service, rpcs in re.findall(r"^- (\w+Service): (.*)$", _section(_CLIENTS, "Not offered yet"), re.MULTILINE)
        for rpc in _CODE.findall(rpcs)
    }
    assert told == set(NOT_IMPLEMENTED_YET)


def test_clients_are_told_every_field_that_is_refused_as_not_offered_yet() -> None:
    refused = {
        call.args[0].value
        for call in _calls("server/converters")
        if isinstance(call.func, ast.Attribute) and call.func.attr == "later"
        if isinstance(call.args[0], ast.Constant)
    }
    assert refused
    assert refused <= set(_CODE.findall(_section(_CLIENTS, "Not offered yet")))


def _sent() -> set[str]:
    kinds = {kind.__name__ for member in get_args(session_events.Payload) for kind in get_args(member) or (member,)}
    return {
        call.func.id
        for call in _calls("services/application", "services/domain", "services/infrastructure/persistence")
        if isinstance(call.func, ast.Name) and call.func.id in kinds
    }


def test_clients_are_told_exactly_which_events_are_sent() -> None:
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", _section(_CLIENTS, "Reading a stream"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([A-Z]\w+)`", row)}
    assert told == _sent()


def test_clients_are_told_exactly_which_events_of_the_contract_are_not_sent() -> None:
    fields = SessionEvent.DESCRIPTOR.oneofs_by_name["payload"].fields
    announced = {field.message_type.name for field in fields if field.message_type is not None}
    told = set(_CODE.findall(_sentence(_section(_CLIENTS, "Not offered yet"), "These events are not sent:")))
    assert told == announced - _sent()


def test_clients_are_told_exactly_which_values_do_not_occur() -> None:
    rows = (row for row in _rows(_section(_CLIENTS, "Not offered yet")) if row[0].startswith("`"))
    told = {(row[0].strip("`"), value) for row in rows for value in _CODE.findall(row[1])}
    used = _named("services/application", "services/domain", "services/infrastructure/persistence")
    absent = {
        (name, member.name)
        for name, kind in _ENUMS.items()
        for member in kind
        if f"{kind.__name__}.{member}" not in used
    }
    assert told == absent


def test_clients_are_told_of_every_reason_and_of_those_that_do_not_occur() -> None:
    tables = {reason for row in _rows(_section(_CLIENTS, "Errors")) for reason in _CODE.findall(row[0])}
    absent = set(_CODE.findall(_sentence(_section(_CLIENTS, "Not offered yet"), "These reasons do not occur:")))
    absent |= set(re.findall(r"`([A-Z_]+)`", _CLIENTS.rsplit("These reasons do not occur:", 1)[1]))
    assert tables | absent == {reason.value for reason in ErrorReason}
    assert tables & absent == set()
    said = {
        _ERRORS[call.func.id].reason.value
        for call in _calls("services", "server")
        if isinstance(call.func, ast.Name) and call.func.id in _ERRORS
    }
    assert absent & said == set()


def test_clients_are_told_the_metadata_of_every_reason() -> None:
    told = {
        reason: set(_CODE.findall(row[2]))
        for row in _rows(_section(_CLIENTS, "Errors"))
        if len(row) == 4
        for reason in _CODE.findall(row[0])
    }
    said: dict[str, set[str]] = {reason: set() for reason in told}
    for call in _calls("services", "server"):
        if isinstance(call.func, ast.Name) and call.func.id in _ERRORS:
            keywords = (keyword.value for keyword in call.keywords if keyword.arg == "metadata")
            said.setdefault(_ERRORS[call.func.id].reason.value, set()).update(
                key.value
                for value in keywords
                for node in ast.walk(value)
                if isinstance(node, ast.Dict)
                for key in node.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
    said[ErrorReason.TOOL_RESULT_TOO_LARGE.value] |= set(ToolResultTooLargeError("call", 1).metadata)
    said[ErrorReason.INTERNAL.value] |= {"correlation_id"}
    assert told == {reason: keys for reason, keys in said.items() if reason in told}
    assert [reason for reason, keys in said.items() if keys and reason not in told] == []


def test_clients_are_told_every_state_in_which_a_call_takes_no_result() -> None:
    told = {state for row in _rows(_section(_CLIENTS, "Running tools")) for state in _CODE.findall(row[0])} - {"state"}
    assert told == {state.value for state in ToolCallState if state is not ToolCallState.OPEN} | {"UNKNOWN"}


def test_operators_are_told_which_sizes_can_be_set() -> None:
    read = {
        node.attr.upper()
        for _, tree in python_files("server")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "sizes"
    }
    assert read == {name.upper() for name in Sizes.model_fields}
    assert {f"SIZES__{name}" for name in read} <= set(_CODE.findall(_section(_OPERATORS, "Limits")))


def _logged(*levels: str) -> set[str]:
    """The events that the code logs at these levels, with `…` for what is filled in."""
    return {
        re.sub(r"%[sd]", "…", str(call.args[0].value))
        for call in _calls("server", "services")
        if isinstance(call.func, ast.Attribute) and call.func.attr in levels
        if isinstance(call.func.value, ast.Name) and call.func.value.id in ("logger", "_log", "log")
        if isinstance(call.args[0], ast.Constant)
    }


def test_operators_are_told_every_error_of_the_log_and_no_event_that_it_never_holds() -> None:
    told = {event for row in _rows(_section(_OPERATORS, "Logs")) for event in re.findall(r"`([^`]+)`", row[0])}
    assert _logged("error", "exception") <= told <= _logged("warning", "error", "exception")


def test_every_test_that_a_promise_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/guarantees.md").read_text())
    assert len(named) > 10
    missing = [
        f"{path}::{test}"
        for path, test in named
        if not re.search(rf"(def {test}\(|^{test} = )", (ROOT / path).read_text(), re.MULTILINE)
    ]
    assert missing == []


def test_every_promise_is_there() -> None:
    promises = re.findall(r"^## (G\d+) ", (ROOT / "docs/guarantees.md").read_text(), re.MULTILINE)
    assert promises == [f"G{number}" for number in range(1, 11)]


@pytest.mark.parametrize("page", [path for path in project_files() if path.suffix == ".md"], ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    path = ROOT / page
    broken = []
    for target, anchor in _LINK.findall(path.read_text()):
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in _anchors(file.read_text())):
            broken.append(f"{target}#{anchor}")
    assert broken == []


def _anchors(page: str) -> set[str]:
    """The names under which headings can be linked to."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
