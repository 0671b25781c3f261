"""The one directory tools may touch; every file is reached through it, and no link leads out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from client.tools.failure import ToolFailedError

READ_LIMIT_BYTES = 10 << 20
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Workspace:
    """Finds and opens files below `root`. Raises NotADirectoryError if that is no directory.

    A path is first resolved, links included, and refused if it ends outside. Then it is walked from the root, one
    directory handle after the other, following no link at all: if somebody swaps a directory for a link in between,
    the walk fails instead of leaving.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))
        if not self.root.is_dir():
            raise NotADirectoryError(f"{root} is not a directory")

    def locate(self, path: str) -> tuple[str, ...]:
        """The names that lead from the root to where `path` really is; empty for the root itself.

        The file need not exist. Raises ToolFailedError for a path that is absolute or leads out.
        """
        if "\0" in path or not path.isprintable():
            raise ToolFailedError("the path has characters that file names here may not have")
        if not path or os.path.isabs(path):
            raise ToolFailedError(f"{path or 'an empty path'} is not relative to the workspace, such as src/main.py")
        real = Path(os.path.realpath(self.root / path))
        if not real.is_relative_to(self.root):
            raise ToolFailedError(f"{path} leads out of the workspace")
        return real.relative_to(self.root).parts

    @contextmanager
    def directory(self, names: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
        """A handle of the directory that `locate` found; missing ones are made with `create`. Raises OSError."""
        handle = os.open(self.root, _DIRECTORY)
        try:
            for name in names:
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=handle)
                below = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
                os.close(handle)
                handle = below
            yield handle
        finally:
            os.close(handle)

    def is_directory(self, names: tuple[str, ...]) -> bool:
        """Whether this is a directory; False also if there is nothing."""
        try:
            with self.directory(names):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return False

    def read(self, path: str) -> bytes:
        """A whole regular file. Raises ToolFailedError if it is none or has more than 10 MB, and OSError."""
        names = self.locate(path)
        if not names:
            raise ToolFailedError(f"{path} is a directory; list_files shows what is in it")
        with self.directory(names[:-1]) as handle:
            return read_regular(names[-1], handle, path)


def read_regular(name: str, directory: int, path: str) -> bytes:
    """The whole regular file `name` of an open directory; `path` is for messages. Raises like `Workspace.read`."""
    # Without O_NONBLOCK, opening a named pipe would wait for somebody to write to it.
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    with os.fdopen(file, "rb") as stream:
        found = os.fstat(file)
        if stat.S_ISDIR(found.st_mode):
            raise ToolFailedError(f"{path} is a directory; list_files shows what is in it")
        if not stat.S_ISREG(found.st_mode):
            raise ToolFailedError(f"{path} is not a regular file")
        data = stream.read(READ_LIMIT_BYTES + 1)
    if len(data) > READ_LIMIT_BYTES:
        raise ToolFailedError(
            f"{path} has {found.st_size} bytes; files above 10 MB are not read (search_in_code and execute_command "
            "can look at parts of it)"
        )
    return data
