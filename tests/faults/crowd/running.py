"""A crowd as its owner sees it: a process that is told what to do."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

_PROJECT = Path(__file__).parents[3]


class Crowd:
    """A running crowd; one command at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def do(self, command: str, **arguments: Any) -> Any:
        """The answer to a method of `Following` or `Asking`. Raises RuntimeError when the process has ended instead."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": command, **arguments}).encode() + b"\n")
        await self._process.stdin.drain()
        if not (line := await self._process.stdout.readline()):
            raise RuntimeError(f"the crowd has ended before its answer to {command}")
        return json.loads(line)

    async def die(self) -> None:
        """Ends the process as a crash would."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def crowd_at(address: str, kind: Literal["following", "asking"] = "following") -> AsyncIterator[Crowd]:
    """A crowd that calls this server, to follow sessions or to ask in them; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.crowd", kind, address),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_PROJECT,
        limit=1 << 26,
    )
    crowd = Crowd(process)
    try:
        yield crowd
    finally:
        await crowd.die()
