"""create_directory: a directory, with those it lies in."""

from __future__ import annotations

from client.tools.arguments import Arguments
from client.tools.bounded_text import JsonObject
from client.tools.failure import ToolFailedError
from client.tools.workspace import Workspace


def create_directory(workspace: Workspace, arguments: Arguments) -> JsonObject:
    """Whether it is new. One that exists is no error; missing parents are made unless `recursive` is false."""
    path = arguments.text("path")
    names = workspace.locate(path)
    if workspace.is_directory(names):
        return {"path": path, "created": False}
    if not arguments.flag("recursive", True) and not workspace.is_directory(names[:-1]):
        raise ToolFailedError(f"the directory above {path} does not exist; recursive makes it too")
    with workspace.directory(names, create=True):
        return {"path": path, "created": True}
