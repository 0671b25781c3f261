"""The test's end of the process that servers are forked from."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

_PROJECT = Path(__file__).parents[3]


class Nursery:
    """Starts servers; one at a time is being started."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._started: asyncio.Queue[int] = asyncio.Queue()
        self._ends: dict[int, asyncio.Future[int]] = {}
        self._starting = asyncio.Lock()

    async def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> int:
        """The id of a new server process."""
        told = {"arguments": list(arguments), "environment": dict(environment), "log": str(log)}
        assert self._process.stdin is not None
        async with self._starting:
            self._process.stdin.write(f"{json.dumps(told)}\n".encode())
            return await self._started.get()

    async def ended(self, pid: int) -> int:
        """The exit code of a process, once it has ended; minus the signal that ended it."""
        return await asyncio.shield(self._end_of(pid))

    async def listen(self) -> None:
        """Takes what the process says, until it ends."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = json.loads(line)
            if "started" in said:
                self._started.put_nowait(said["started"])
            else:
                self._end_of(said["ended"]).set_result(said["code"])

    def _end_of(self, pid: int) -> asyncio.Future[int]:
        return self._ends.setdefault(pid, asyncio.get_running_loop().create_future())


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """A nursery; whatever it has started is killed on leaving."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.points.program"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=_PROJECT,
        env=inherited | {"PYTHONPATH": f"{_PROJECT}:{_PROJECT / 'generated'}"},
    )
    running = Nursery(process)
    listening = asyncio.create_task(running.listen())
    try:
        yield running
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()
        await listening
