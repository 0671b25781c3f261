"""Pages that name a make target or a file name one that exists."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.architecture.source_tree import ROOT, project_files

_COMMAND = re.compile(r"(?:^\s*(?:\$ )?|`|&& )make ([a-z][a-z-]*)", re.MULTILINE)
_PATH = re.compile(r"(?<![\w./-])(?:server|services|client|devtools|tests|protos|generated|deploy|docs)/[\w./-]*\w")


def _pages() -> Iterator[tuple[str, str]]:
    for path in project_files():
        if path.suffix == ".md":
            yield path.as_posix(), (ROOT / path).read_text()


def test_the_pages_name_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    missing = [
        f"{page}: make {name}" for page, text in _pages() for name in _COMMAND.findall(text) if name not in targets
    ]
    assert missing == []


def test_the_pages_name_only_files_that_exist() -> None:
    missing = [
        f"{page}: {path}" for page, text in _pages() for path in _PATH.findall(text) if not (ROOT / path).exists()
    ]
    assert missing == []


def test_every_make_target_is_explained_in_the_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE))
    assert phony == set(re.findall(r"^([a-z-]+):.*## \S", makefile, re.MULTILINE))
