"""Which paths a tool call may name, and which files an agent may write: decided on what a path means, not how it looks.

The client resolves paths in the user's workspace and follows links there; that is its part. Nothing that depends on the
client's platform passes here: no drive, no stream, no name that one system reads as another's.
"""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from services.domain.policies.path_patterns import path_matches

MAX_PATH_BYTES = 4096

_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})  # controls, bidirectional and zero-width, broken, breaks
_UNSEEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_ENCODED = ("%00", "%2e", "%2f", "%5c")
_WORKSPACE = "."


class WriteAccess(StrEnum):
    """How much an agent may write."""

    NONE = "NONE"
    MATCHING = "MATCHING"
    ALL = "ALL"


@dataclass(frozen=True, slots=True)
class FileRules:
    """What an agent may write; `patterns` (see path_patterns.py) are given with MATCHING and only then.

    Raises ValueError for anything else, and for a pattern that no acceptable path could match.
    """

    write_access: WriteAccess
    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.write_access is WriteAccess.MATCHING) != bool(self.patterns):
            raise ValueError("write patterns go with write access MATCHING, and MATCHING needs at least one")
        for pattern in self.patterns:
            refusal = refusal_of_path(pattern)
            if refusal is not None or normalised_path(pattern) != pattern:
                raise ValueError(f"{pattern!a} is not a pattern of paths: {refusal or 'it is not in its normal form'}")


# Of each built-in tool: argument, what its absence means (None: there is nothing to look at), whether it is written.
_PATH_ARGUMENTS: Mapping[str, tuple[tuple[str, str | None, bool], ...]] = {
    "read_file": (("path", "", False),),
    "write_file": (("path", "", True),),
    "list_files": (("path", _WORKSPACE, False), ("pattern", None, False)),
    "create_directory": (("path", "", True),),
    "search_in_code": (("path", _WORKSPACE, False), ("file_pattern", None, False)),
    "execute_command": (("cwd", _WORKSPACE, False),),
    "delete_file": (("path", "", True),),
    "move_file": (("source", "", True), ("destination", "", True)),
}


def path_arguments(tool_name: str, arguments: Mapping[str, object]) -> list[tuple[str, str, bool]]:
    """(argument, path, whether it is written) of a call of a built-in tool; empty for other tools.

    A required path that is missing, or any that is no text, is given as the empty path, which every rule refuses.
    File patterns are paths here too: `../*` leaves the workspace like any other.
    """
    found = []
    for argument, default, is_write in _PATH_ARGUMENTS.get(tool_name, ()):
        value = arguments.get(argument)
        path = default if value is None else value
        if path is not None:
            found.append((argument, path if isinstance(path, str) else "", is_write))
    return found


def is_path_argument(tool_name: str, argument: str) -> bool:
    """Whether this argument of a built-in tool is a path; of other tools nobody knows."""
    return any(argument == name for name, _, _ in _PATH_ARGUMENTS.get(tool_name, ()))


def normalised_path(path: str) -> str:
    """The one spelling of a path: no `.`, no `//`, no `name/..`; `.` is the workspace itself."""
    return posixpath.normpath(path)


def refusal_of_path(path: str) -> str | None:
    """Why no tool may be given this path, in words for the model; None if any may."""
    if not path.strip():
        return "the path is empty"
    if len(path) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    if any(char in _UNSEEN_LETTERS or unicodedata.category(char) in _UNSEEN_CATEGORIES for char in path):
        return "the path contains control or invisible characters"
    if len(path.encode()) > MAX_PATH_BYTES:
        return f"the path is longer than {MAX_PATH_BYTES} bytes"
    if "\\" in path:
        return "the path contains a backslash; separate folders by /"
    if path.startswith(("/", "~")):
        return "the path must be relative to the workspace, such as src/app.py"
    if ":" in path:
        return "the path contains a colon, which names a drive or a stream on some systems"
    if any(code in path.lower() for code in _ENCODED):
        return "the path is URL-encoded; write it as it is"
    if any(name not in (".", "..") and (name.endswith(".") or name[-1:].isspace()) for name in path.split("/")):
        return "a name in the path ends in a dot or a space"
    if normalised_path(path).split("/")[0] == "..":
        return "the path leaves the workspace"
    return None


def can_be_in_path(part: str) -> bool:
    """Whether some path in its normal form that tools may be given has this text in it."""
    path = f"x{part}x"  # of all that has it, what is refused least
    return refusal_of_path(path) is None and part in normalised_path(path)


def refusal_of_write(path: str, rules: FileRules) -> str | None:
    """Why an agent with these rules may not write this path, in words for the model; None if it may.

    With MATCHING the whole normalised path must match a pattern, whatever the case of its letters.
    """
    if rules.write_access is WriteAccess.NONE:
        return "this agent may not write files"
    refusal = refusal_of_path(path)
    if refusal is not None:
        return refusal
    normalised = normalised_path(path)
    if normalised == _WORKSPACE:
        return "the path names the workspace itself"
    if rules.write_access is WriteAccess.ALL or any(path_matches(pattern, normalised) for pattern in rules.patterns):
        return None
    return f"this agent may only write files that match {' or '.join(rules.patterns)}"
