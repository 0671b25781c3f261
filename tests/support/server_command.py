"""The server's command as an operator runs it, where a test is about how it ends and what it prints."""

from __future__ import annotations

import asyncio
import os
import sys
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
