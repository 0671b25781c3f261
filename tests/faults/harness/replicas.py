"""Server processes on one database that can be killed, frozen and started again, each at an address that stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from devtools.runtime_process import RuntimeProcess
from tests.support.unlimited import UNLIMITED

# A frozen replica is noticed by its silence, so that there must be none for long.
HEARTBEAT = 1.0
# What was seen at the beginning of a long row is compared with what is stored at its end.
_FOR_THE_JUDGE = {"HEARTBEAT": str(HEARTBEAT), "RETENTION__DELTAS": "86400"}


class Replica:
    """One server process and its address, which a new process takes over when it is started again."""

    def __init__(self, name: str, address: str, process: RuntimeProcess) -> None:
        self.name = name
        self.address = address
        self._process = process

    async def kill(self) -> None:
        """Ends the process as a crash would."""
        await self._process.kill()

    async def start(self) -> None:
        """Starts a process after a kill; returns when it serves."""
        await self._process.start()

    async def terminate(self) -> int:
        """Asks the process to stop in order; returns its exit code."""
        return await self._process.terminate()

    def signal_stop(self) -> None:
        """The signal that asks it to stop, once more; harmless when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGTERM)

    def freeze(self) -> None:
        """Stops the process where it is: it neither works nor ends, and its connections stay open."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets a frozen process go on."""
        os.kill(self._process.pid, signal.SIGCONT)

    def logged(self, beginning: str) -> list[float]:
        """When it, or a predecessor, wrote a log line that begins so, in seconds of `time.time`."""
        times = []
        for line in self._process.log.read_text(encoding="utf-8", errors="replace").splitlines():
            entry = json.loads(line) if line.startswith("{") else {}
            if str(entry.get("event", "")).startswith(beginning):
                times.append(datetime.fromisoformat(entry["timestamp"]).timestamp())
        return times


@asynccontextmanager
async def running_replicas(
    count: int, database_url: str, model_url: str, settings: Mapping[str, str] | None = None
) -> AsyncIterator[list[Replica]]:
    """So many replicas on one database, serving; killed at the end."""
    async with AsyncExitStack() as stack:

        async def started(number: int, port: int) -> Replica:
            address = f"127.0.0.1:{port}"
            chosen = {"LISTEN": address} | _FOR_THE_JUDGE | UNLIMITED | dict(settings or {})
            process = await stack.enter_async_context(RuntimeProcess(database_url, model_url, chosen))
            return Replica(f"r{number}", address, process)

        starting = [started(number, port) for number, port in enumerate(_free_ports(count), 1)]
        outcomes = await asyncio.gather(*starting, return_exceptions=True)  # none is left starting when one fails
        for failure in outcomes:
            if isinstance(failure, BaseException):
                raise failure
        yield [outcome for outcome in outcomes if isinstance(outcome, Replica)]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
