"""A workspace to try the tools in, with a directory beside it that they must not reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from client.tools.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "work").mkdir()
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside/secret.txt").write_text("secret")
    return Workspace(tmp_path / "work")


@pytest.fixture
def put(workspace: Workspace) -> Callable[[str, str | bytes], Path]:
    """Writes a file of the workspace, with its directories."""

    def write(path: str, content: str | bytes) -> Path:
        file = workspace.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write
