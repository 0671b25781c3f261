"""A server process with failpoints that is started again whenever it ends, as an init system would."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from tests.faults.points.nursery import Nursery
from tests.faults.points.program import DIRECTORY

_START_SECONDS = 60.0
_VAIN_STARTS = 4


class FailingServer:
    """One process at a time, on a new port each time. `address` is empty while none serves."""

    def __init__(self, name: str, nursery: Nursery, board: Path, directory: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self.starts = 0
        self.exit_codes: list[int] = []
        self._nursery = nursery
        self._port_file = directory / f"{name}.address"
        self._environment = {f"AGENT_RUNTIME__{key}": value for key, value in settings.items()}
        self._environment[DIRECTORY] = str(board)
        self._pid = 0
        self._keeping: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """Where it serves now."""
        try:
            return self._port_file.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""

    def keep_running(self) -> None:
        """Starts it, and again after each end; a start that fails is an end."""
        self._keeping = asyncio.create_task(self._keep_running(), name=f"keep {self.name}")

    async def serving(self) -> str:
        """The address, once it serves. Raises TimeoutError with what it wrote, also when it ends again and again."""
        enough = len(self.exit_codes) + _VAIN_STARTS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_SECONDS):
                while len(self.exit_codes) < enough:
                    if address := self.address:
                        return address
                    await asyncio.sleep(0.02)
        raise TimeoutError(f"{self.name} does not serve: {self.log.read_text(encoding='utf-8')[-4000:]}")

    def kill(self) -> None:
        """Ends the process as a crash would; it is started again."""
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Asks the process to stop in order; it is started again."""
        self._signal(signal.SIGTERM)

    async def ended(self, starts: int) -> None:
        """Returns once the process of that start has ended."""
        async with asyncio.timeout(_START_SECONDS):
            while len(self.exit_codes) < starts:  # noqa: ASYNC110 - looked at rarely
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Kills it for good."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})

    async def _keep_running(self) -> None:
        while True:
            arguments = ("serve", "--port-file", str(self._port_file))
            pid = self._pid = await self._nursery.start(arguments, self._environment, self.log)
            self.starts += 1
            try:
                self.exit_codes.append(await self._nursery.ended(pid))
            except asyncio.CancelledError:
                self._signal(signal.SIGKILL)
                await self._nursery.ended(pid)
                raise
            finally:
                self._pid = 0
                self._port_file.unlink(missing_ok=True)

    def _signal(self, number: int) -> None:
        if self._pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, number)
