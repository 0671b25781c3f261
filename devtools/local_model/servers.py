"""Starts the servers of the local-model environment and finds out where they listen."""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_PROJECT = Path(__file__).parents[2]
_PROGRAMS = Path(sys.prefix) / "local-model" / "bin"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.05


class LocalModelError(Exception):
    """A server is not installed or did not start; the message is fit for people."""


@asynccontextmanager
async def llama_server() -> AsyncIterator[str]:
    """A llama.cpp server with a small real model, gone at the end; yields its base url. Raises LocalModelError."""
    program = _PROJECT / "devtools" / "local_model" / "llama_server.py"
    async with _serving("python", str(program), says=r"llama.cpp at (http://\S+)") as url:
        yield url


@asynccontextmanager
async def mock_server() -> AsyncIterator[str]:
    """A mock of the OpenAI API that others wrote, gone at the end; yields its address, before `/v1`.

    It calls the tools it is offered, follows JSON schemas, fails when `/_llmock/scenario` says so, and gives a verdict
    on its client at `/_llmock/verdict`. Raises LocalModelError.
    """
    arguments = ("serve", "--host", "127.0.0.1", "--port", "0")
    async with _serving("llmock", *arguments, says=r"running on (http://\S+)") as url:
        yield url


@asynccontextmanager
async def _serving(program: str, *arguments: str, says: str) -> AsyncIterator[str]:
    """Runs the program until the end; yields the address in what it says, which goes to a file nobody has to empty."""
    if not (_PROGRAMS / program).exists():
        raise LocalModelError("the local model is not installed: make test-local-model does that")
    with tempfile.NamedTemporaryFile(prefix="local-model-", suffix=".log") as log:
        process = await asyncio.create_subprocess_exec(
            str(_PROGRAMS / program), *arguments, stdin=asyncio.subprocess.PIPE, stdout=log, stderr=log
        )
        try:
            yield await _address(process, Path(log.name), says)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _address(process: asyncio.subprocess.Process, log: Path, says: str) -> str:
    for _ in range(int(_START_SECONDS / _POLL_SECONDS)):
        said = _read(log)
        if found := re.search(says, said):
            return found[1]
        if process.returncode is not None:
            break
        await asyncio.sleep(_POLL_SECONDS)
    raise LocalModelError(f"a server of the local model did not start: {_read(log)[-2000:]}")


def _read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")
