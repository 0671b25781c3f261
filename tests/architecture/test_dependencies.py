"""What is installed is never older than the versions in which known flaws were repaired."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import pytest
from google.protobuf.internal import api_implementation

from tests.architecture.source_tree import ROOT, imported_modules, python_files

FLOORS = {
    # An interpreter's own decoder recurses without a bound in earlier ones, and so does the reading of JSON.
    "protobuf": (7, 35, 1),
    # The behaviour of streams, limits and pings is measured with this one.
    "grpcio": (1, 85, 1),
    # Before, a token could choose an algorithm that was not allowed.
    "pyjwt": (2, 13),
    "asyncpg": (0, 32),
}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


@pytest.mark.parametrize(("name", "floor"), FLOORS.items())
def test_no_older_version_is_asked_for_pinned_or_installed(name: str, floor: tuple[int, ...]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (asked,) = [wanted for wanted in project["dependencies"] if re.match(rf"{name}[<>=]", wanted, re.IGNORECASE)]
    least = re.search(r">=([\d.]+)", asked)
    assert least is not None
    assert _numbers(least[1]) >= floor
    pinned = re.search(rf"^{name}==([\d.]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert pinned is not None
    assert _numbers(pinned[1]) >= floor
    assert _numbers(version(name)) >= floor


def test_messages_are_decoded_by_the_implementation_whose_recursion_is_bounded() -> None:
    assert api_implementation.Type() == "upb"


def test_no_request_is_read_as_json() -> None:
    """Reading protobuf's JSON form has no good bound for what is nested in an `Any`."""
    using = [
        f"{path}:{line}"
        for path, tree in python_files("server", "services")
        for line, module in imported_modules(tree)
        if module.startswith(("google.protobuf.json_format", "google.protobuf.any_pb2"))
    ]
    assert using == []
