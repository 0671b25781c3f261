"""Runs the real server as a process of its own: what the demo and the tests talk to, and what they kill."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_PROJECT = Path(__file__).parents[1]
_START_SECONDS = 30.0
_POLL_SECONDS = 0.02


class RuntimeNotStartedError(Exception):
    """The process ended or said nothing in time; the message holds what it wrote."""


class RuntimeProcess:
    """One server process on a free port of this machine, in development mode unless `settings` say otherwise.

    `settings` are environment variables without their prefix, such as `{"LLM_MODEL": "x"}`; no other setting reaches
    the process. Entering the context starts it, leaving kills it if it still runs. `log` is the file it writes to.
    `program` is the module that is run; another one may do to the server what a test wants done.
    """

    def __init__(
        self,
        database_url: str,
        model_url: str,
        settings: Mapping[str, str] | None = None,
        *,
        program: str = "server",
    ) -> None:
        self._program = program
        self._environment = {
            "DATABASE_URL": database_url,
            "LLM_PROXY_URL": model_url,
            "LLM_MODEL": "scripted",
            "LISTEN": "127.0.0.1:0",
            "DEV": "true",
        } | dict(settings or {})
        self._directory = tempfile.TemporaryDirectory(prefix="agent-runtime-")
        self._process: asyncio.subprocess.Process | None = None
        self.log = Path(self._directory.name) / "server.log"
        self.address = ""

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._running().pid

    async def start(self) -> None:
        """Starts the server, again on a new port after an end. Raises RuntimeNotStartedError."""
        port_file = Path(self._directory.name) / "address"
        port_file.unlink(missing_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
        chosen = {f"AGENT_RUNTIME__{name}": value for name, value in self._environment.items()}
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", self._program, "serve", "--port-file", str(port_file)),
                stdout=log,
                stderr=log,
                cwd=_PROJECT,
                env=inherited | chosen,
            )
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not port_file.exists():
                    if self._process.returncode is not None:
                        raise RuntimeNotStartedError(self.log.read_text(encoding="utf-8"))
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise RuntimeNotStartedError(self.log.read_text(encoding="utf-8")) from None
        self.address = port_file.read_text(encoding="utf-8").strip()

    async def kill(self) -> None:
        """Ends the process at once, as a crash would; returns when it is gone."""
        self._running().kill()
        await self._running().wait()

    async def terminate(self) -> int:
        """Asks the process to stop in order; returns its exit code."""
        self._running().send_signal(signal.SIGTERM)
        return await self._running().wait()

    async def __aenter__(self) -> RuntimeProcess:
        try:
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            await self.kill()
        self._directory.cleanup()

    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the server was never started")
        return self._process
