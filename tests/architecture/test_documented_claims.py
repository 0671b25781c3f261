"""What the pages say and the code can contradict: what is offered, what is sent, which test shows what."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from server.config import Sizes
from server.handlers.not_implemented import NOT_IMPLEMENTED_YET
from services.domain import session_events
from tests.architecture.source_tree import ROOT, project_files, python_files

_CLIENTS = (ROOT / "docs/clients.md").read_text()
_OPERATORS = (ROOT / "docs/operators.md").read_text()
_LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def _section(page: str, heading: str) -> str:
    """The text under a heading, up to the next one of any level."""
    return re.split(r"^#+ ", page.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def _calls(*folders: str) -> Iterator[ast.Call]:
    for _, tree in python_files(*folders):
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_clients_are_told_exactly_which_rpcs_are_not_offered_yet() -> None:
    told = {
        f"{service}/{rpc}"
        for service, rpcs in re.findall(r"^- (\w+Service): (.*)$", _section(_CLIENTS, "Not offered yet"), re.MULTILINE)
        for rpc in re.findall(r"`(\w+)`", rpcs)
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
    assert refused <= set(re.findall(r"`([\w.]+)`", _section(_CLIENTS, "Not offered yet")))


def test_clients_are_told_exactly_which_events_are_sent() -> None:
    kinds = {kind.__name__ for member in get_args(session_events.Payload) for kind in get_args(member) or (member,)}
    sent = {
        call.func.id
        for call in _calls("services/application", "services/domain/session_change.py")
        if isinstance(call.func, ast.Name) and call.func.id in kinds
    }
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", _section(_CLIENTS, "Reading a stream"), re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([A-Z]\w+)`", row)}
    assert told == sent


def test_operators_are_told_which_sizes_can_be_set() -> None:
    read = {
        node.attr.upper()
        for _, tree in python_files("server")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute) and node.value.attr == "sizes"
    }
    sentence = re.search(r"Of the settings under `SIZES`, only (.*?) have", _OPERATORS)
    told = set(re.findall(r"`(\w+)`", sentence[1])) if sentence else {name.upper() for name in Sizes.model_fields}
    assert told == read


def test_every_test_that_a_promise_names_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs/guarantees.md").read_text())
    assert len(named) > 10
    missing = [f"{path}::{test}" for path, test in named if not re.search(rf"def {test}\(", (ROOT / path).read_text())]
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
