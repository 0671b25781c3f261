"""The server's command as an operator runs it, where a test is about how it ends and what it prints."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_PROJECT = Path(__file__).parents[2]
_PATIENCE = 20.0


async def serve_once(database_url: str, **settings: str) -> tuple[int, str]:
    """Runs `serve` in development mode until it ends by itself; its exit code and all it printed.

    Kills it and raises TimeoutError when it does not end.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
    chosen = {"DATABASE_URL": database_url, "LISTEN": "127.0.0.1:0", "DEV": "true"} | settings
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "serve"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=_PROJECT,
        env=inherited | {f"AGENT_RUNTIME__{name}": value for name, value in chosen.items()},
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    return process.returncode or 0, output.decode()


@asynccontextmanager
async def starting_server(url: str, directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command, just started; killed at the end. It prints to one pipe, and writes `address` once it serves."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "serve", "--dev", "--listen", "127.0.0.1:0", "--database-url", url),
        *("--port-file", str(directory / "address")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=_PROJECT,
        env=inherited,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def catches_sigterm(pid: int) -> bool:
    """Whether the process has a handler for SIGTERM by now; Linux says so."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)
