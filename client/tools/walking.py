"""Goes through the files of a workspace in one order, following no link, leaving out what nobody looks for."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from client.tools.bounded_text import carried
from client.tools.workspace import Workspace

# Made by tools, large, and never what an agent means; a path that names one is listed all the same.
NOT_ENTERED = frozenset({"node_modules", "__pycache__"})
WALK_SECONDS = 20.0


@dataclass(slots=True)
class Walk:
    """One walk below a directory. Iterating gives (path from the root, name, directory handle, whether a directory).

    A handle is good until the next step. `note` says afterwards what was left out and why.
    """

    workspace: Workspace
    names: tuple[str, ...]
    hidden: bool = False
    recursive: bool = True
    seconds: float = WALK_SECONDS
    _skipped: set[str] = field(default_factory=set)
    _too_long: bool = False

    def __iter__(self) -> Iterator[tuple[str, str, int, bool]]:
        ends = time.monotonic() + self.seconds
        with self.workspace.directory(self.names) as top:
            for below, directories, files, handle in os.fwalk(".", dir_fd=top, follow_symlinks=False):
                place = "/".join((*self.names, *(part for part in below.split("/") if part != ".")))
                for name in sorted(directories + files):
                    if time.monotonic() > ends:
                        self._too_long = True
                        return
                    if self.hidden or not name.startswith("."):
                        path = carried(f"{place}/{name}" if place else name)
                        yield path, name, handle, name in directories
                directories[:] = self._to_enter(directories) if self.recursive else []

    @property
    def note(self) -> str:
        """Empty if nothing was left out."""
        skipped = f"not looked into: {', '.join(sorted(self._skipped))}" if self._skipped else ""
        late = f"stopped after {self.seconds:.0f} s; name a smaller path" if self._too_long else ""
        return "; ".join(part for part in (skipped, late) if part)

    def _to_enter(self, directories: list[str]) -> list[str]:
        seen = [name for name in sorted(directories) if self.hidden or not name.startswith(".")]
        self._skipped |= NOT_ENTERED.intersection(seen)
        return [name for name in seen if name not in NOT_ENTERED]


def matches(path: str, pattern: str) -> bool:
    """Whether a path fits a pattern: `*.py` is for the name alone, `src/*.py` for a whole path; `**` is any folders."""
    names = path.split("/")
    if "/" not in pattern:
        return fnmatch.fnmatchcase(names[-1], pattern)
    parts = pattern.split("/")
    # Which beginnings of the pattern fit the names so far; one pass, so that many `**` cost nothing.
    fits = {0}
    for name in names:
        fits = _past_any_folders(fits, parts)
        fits = {at if parts[at] == "**" else at + 1 for at in fits if at < len(parts) and _step(name, parts[at])}
    return len(parts) in _past_any_folders(fits, parts)


def _past_any_folders(fits: set[int], parts: list[str]) -> set[int]:
    reached = set(fits)
    for at in sorted(fits):
        while at < len(parts) and parts[at] == "**":
            at += 1
            reached.add(at)
    return reached


def _step(name: str, part: str) -> bool:
    return part == "**" or fnmatch.fnmatchcase(name, part)
