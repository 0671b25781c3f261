"""Programs of the bench that run as processes of their own, and what a process has cost."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_PROJECT = Path(__file__).parents[2]
_START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running program and the address it serves at, the last word of its first line."""

    pid: int
    address: str


@asynccontextmanager
async def program(
    module: str, *arguments: str, settings: Mapping[str, str] | None = None, quiet: bool = False
) -> AsyncIterator[Child]:
    """Runs `python -m module`, whose first line of output says its address; killed on leaving.

    `settings` are the server's, without their prefix; `quiet` hides what it complains about. Raises RuntimeError when
    it ends instead of serving.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
    chosen = {f"AGENT_RUNTIME__{name}": value for name, value in (settings or {}).items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL if quiet else None,
        cwd=_PROJECT,
        env=inherited | chosen,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
        if not line:
            raise RuntimeError(f"{module} did not start")
        yield Child(process.pid, line.decode().split()[-1])
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def cpu_seconds(pid: int) -> float:
    """The CPU time of all threads of a process so far; the clock ticks every 10 ms, so measure long."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
