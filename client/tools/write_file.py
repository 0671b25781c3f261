"""write_file: a whole file, written next to its place first and then moved there, so that it is never half written."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress

from client.tools.arguments import Arguments
from client.tools.bounded_text import JsonObject
from client.tools.failure import ToolFailedError
from client.tools.workspace import Workspace

WRITE_LIMIT_BYTES = 5 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_file(workspace: Workspace, arguments: Arguments) -> JsonObject:
    """Bytes written and whether the file is new. With `backup` the old file is kept beside it, as `<name>.bak`."""
    path = arguments.text("path")
    data = _encoded(arguments)
    names = workspace.locate(path)
    if not names:
        raise ToolFailedError(f"{path} is a directory")
    result: dict[str, object] = {"path": path, "bytes": len(data)}
    with workspace.directory(names[:-1], create=arguments.flag("create_dirs", True)) as directory:
        mode = _mode_of(names[-1], directory, path)
        if mode is not None and arguments.flag("backup", False):
            backup = f"{names[-1]}.bak"
            with suppress(FileNotFoundError):
                os.unlink(backup, dir_fd=directory)
            os.link(names[-1], backup, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
            result["backup"] = f"{path}.bak"
        _replace(names[-1], directory, data, mode)
    return result | {"created": mode is None}


def _encoded(arguments: Arguments) -> bytes:
    encoding = arguments.encoding()
    try:
        data = arguments.text("content").encode(encoding)
    except UnicodeEncodeError:
        raise ToolFailedError(f"the content has characters that {encoding} does not have") from None
    if len(data) > WRITE_LIMIT_BYTES:
        raise ToolFailedError(f"the content has {len(data)} bytes; files above 5 MB are not written")
    return data


def _mode_of(name: str, directory: int, path: str) -> int | None:
    """The permissions of the file that is there; None if there is none."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise ToolFailedError(f"{path} is there and is not a regular file")
    return stat.S_IMODE(found.st_mode)


def _replace(name: str, directory: int, data: bytes, mode: int | None) -> None:
    draft = f".{secrets.token_hex(8)}.part"
    file = os.open(draft, _NEW, 0o666, dir_fd=directory)
    try:
        with os.fdopen(file, "wb") as stream:
            if mode is not None:
                os.fchmod(file, mode)
            stream.write(data)
        os.replace(draft, name, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        os.unlink(draft, dir_fd=directory)
        raise
