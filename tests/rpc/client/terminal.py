"""A program in a real pseudo-terminal: what a person would see and type."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

_PROJECT = Path(__file__).parents[3]
_SECONDS = 30
_HUMAN_SECONDS = 0.1
# The terminal must be the controlling one of the program's own session, else Ctrl-C is only a character.
_IN_TERMINAL = (
    "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x01\x02\r]")


class Terminal:
    """A running program. `screen` is all it has written, without what steers the terminal."""

    def __init__(self, process: asyncio.subprocess.Process, handle: int) -> None:
        self._process = process
        self._handle = handle
        self._written = b""
        self._seen = 0
        self.screen = ""

    async def type(self, keys: str) -> None:
        """Presses keys; Enter is a carriage return, Ctrl-C `\\x03`."""
        # As nobody types within microseconds: a signal that comes just before Python's line editor begins to wait is
        # seen only with the next key.
        await asyncio.sleep(_HUMAN_SECONDS)
        os.write(self._handle, keys.encode())

    async def shows(self, words: str) -> None:
        """Returns when the words are on the screen, after those waited for before."""
        try:
            async with asyncio.timeout(_SECONDS):
                while words not in self.screen[self._seen :]:
                    assert await self._read(), f"ended without {words!r}:\n{self.screen[-4000:]}"
        except TimeoutError:
            raise AssertionError(f"no {words!r} in:\n{self.screen[self._seen :][:4000]}") from None
        self._seen = self.screen.index(words, self._seen) + len(words)

    async def end(self) -> int:
        """The exit code, once the program has ended."""
        async with asyncio.timeout(_SECONDS):
            while await self._read():
                pass
            return await self._process.wait()

    async def _read(self) -> bool:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._handle, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._handle)
        with suppress(OSError):  # the other end is closed
            data = os.read(self._handle, 1 << 16)
            self._written += data
            self.screen = _STEERING.sub("", self._written.decode(errors="replace"))
            return bool(data)
        return False


@asynccontextmanager
async def terminal(*arguments: str, **environment: str) -> AsyncIterator[Terminal]:
    """Runs `python …` of this project in a terminal of its own; killed on leaving."""
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _IN_TERMINAL, *arguments),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=_PROJECT,
            env=clean_environment() | {"TERM": "xterm-256color", "COLUMNS": "100"} | environment,
        )
    finally:
        os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        os.close(ours)


def clean_environment() -> dict[str, str]:
    """This process's environment, without settings of a runtime and with the project importable."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME_")}
    return inherited | {"PYTHONPATH": f"{_PROJECT}{os.pathsep}{_PROJECT / 'generated'}"}
