"""No path, however it is written and whatever links there are, leads out of the workspace."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from client.tools.arguments import Arguments
from client.tools.failure import ToolFailedError
from client.tools.list_files import list_files
from client.tools.read_file import read_file
from client.tools.search_in_code import search_in_code
from client.tools.workspace import Workspace
from client.tools.write_file import write_file

Put = Callable[[str, str | bytes], Path]

OUTSIDE = ["../beside/secret.txt", "a/../../beside/secret.txt", "/etc/passwd", "", "\0", "a\0b", "a\nb", "\ud800"]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_path_that_leaves_is_refused_by_every_tool(workspace: Workspace, path: str) -> None:
    for tool in (read_file, write_file, list_files, search_in_code):
        with pytest.raises(ToolFailedError):
            tool(workspace, Arguments({"path": path, "content": "x", "query": "secret"}))
    assert (workspace.root.parent / "beside/secret.txt").read_text() == "secret"


@pytest.mark.parametrize("link", ["out", "a/out"])
def test_a_link_that_leaves_is_refused(workspace: Workspace, put: Put, link: str) -> None:
    put("a/file.txt", "here")
    (workspace.root / link).symlink_to(workspace.root.parent / "beside")
    with pytest.raises(ToolFailedError, match="leads out of the workspace"):
        read_file(workspace, Arguments({"path": f"{link}/secret.txt"}))
    with pytest.raises(ToolFailedError, match="leads out of the workspace"):
        write_file(workspace, Arguments({"path": f"{link}/new.txt", "content": "x"}))
    assert search_in_code(workspace, Arguments({"query": "secret"})) == {"matches": []}
    assert f"{link}/secret.txt" not in str(list_files(workspace, Arguments({"recursive": True})))


def test_a_link_inside_leads_to_its_file(workspace: Workspace, put: Put) -> None:
    put("real/file.txt", "here")
    (workspace.root / "link").symlink_to("real")
    assert read_file(workspace, Arguments({"path": "link/file.txt"}))["content"] == "here"
    write_file(workspace, Arguments({"path": "link/file.txt", "content": "there"}))
    assert (workspace.root / "real/file.txt").read_text() == "there"
    assert (workspace.root / "link").is_symlink()


def test_a_directory_swapped_for_a_link_after_the_check_is_not_followed(workspace: Workspace, put: Put) -> None:
    put("a/secret.txt", "harmless")
    names = workspace.locate("a/secret.txt")
    (workspace.root / "a").rename(workspace.root / "b")
    (workspace.root / "a").symlink_to(workspace.root.parent / "beside")
    with pytest.raises(NotADirectoryError), workspace.directory(names[:-1]):
        pass


def test_a_file_swapped_for_a_link_after_the_check_is_not_followed(
    workspace: Workspace, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = put("a.txt", "harmless")
    located = workspace.locate("a.txt")
    file.unlink()
    file.symlink_to(workspace.root.parent / "beside/secret.txt")
    monkeypatch.setattr(Workspace, "locate", lambda *_: located)
    with pytest.raises(OSError, match="symbolic links"):
        workspace.read("a.txt")
    with pytest.raises(ToolFailedError, match="not a regular file"):
        write_file(workspace, Arguments({"path": "a.txt", "content": "x"}))


def test_links_in_a_circle_are_an_error(workspace: Workspace) -> None:
    (workspace.root / "a").symlink_to("b")
    (workspace.root / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        workspace.read("a")


def test_a_pipe_is_not_waited_for(workspace: Workspace) -> None:
    os.mkfifo(workspace.root / "pipe")
    with pytest.raises(ToolFailedError, match="not a regular file"):
        workspace.read("pipe")


def test_no_handle_is_left_open(workspace: Workspace, put: Put) -> None:
    put("a/b/c.txt", "text")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0
    for _ in range(5):
        read_file(workspace, Arguments({"path": "a/b/c.txt"}))
        list_files(workspace, Arguments({"recursive": True}))
        with pytest.raises(FileNotFoundError):
            workspace.read("a/b/none")
    assert (len(os.listdir("/proc/self/fd")) if before else 0) == before


def test_a_file_is_no_workspace(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        Workspace(tmp_path / "file")
