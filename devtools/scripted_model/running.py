"""Runs the scripted model for a test, in this process or as its own, with one handle for both."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from devtools.scripted_model.script import Reply, Script, script_json
from devtools.scripted_model.server import ScriptedModelServer, serving

_PROJECT = Path(__file__).parents[2]
_PATIENCE = aiohttp.ClientTimeout(total=20)


class ScriptedModel:
    """A running scripted model, spoken to over its control endpoints. `url` is the base url for clients."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self._control = url.removesuffix("/v1") + "/control"
        self._http = http

    async def play(self, *replies: Reply) -> None:
        """Replaces the script; all gates close. Calls so far stay recorded."""
        await self._ask("POST", "/script", data=script_json(Script(replies=replies)))

    async def calls(self) -> list[dict[str, Any]]:
        """The last calls, oldest first: number, body, headers, outcome, closed_early, bytes_sent."""
        calls: list[dict[str, Any]] = await self._ask("GET", "/calls")
        return calls

    async def counts(self, outcome: str = "calls", at_least: int = 0) -> dict[str, int]:
        """Calls so far, also by outcome (finished, fault, closed_early, refused, playing), once there are so many."""
        counts: dict[str, int] = await self._ask("GET", f"/counts?outcome={outcome}&at_least={at_least}")
        return counts

    async def held(self, gate: str, at_least: int = 1) -> None:
        """Returns when so many answers wait at the gate."""
        await self._ask("GET", f"/held/{gate}?at_least={at_least}")

    async def release(self, gate: str) -> None:
        """Opens a gate for good."""
        await self._ask("POST", f"/release/{gate}")

    async def reset(self) -> None:
        """No script, no calls, all gates closed."""
        await self._ask("POST", "/reset")

    async def _ask(self, method: str, path: str, data: bytes | None = None) -> Any:
        # From a file, a large script does not hold up the loop.
        async with self._http.request(method, self._control + path, data=data and io.BytesIO(data)) as response:
            answer = await response.json()
            if response.status != 200:
                raise ValueError(answer.get("error", response.status))
            return answer


@asynccontextmanager
async def running_scripted_model(*replies: Reply, echo_delay: float = 0.0) -> AsyncIterator[ScriptedModel]:
    """A scripted model on this event loop."""
    server = ScriptedModelServer(Script(replies=replies), echo_delay=echo_delay)
    async with serving(server) as url, aiohttp.ClientSession(timeout=_PATIENCE) as http:
        yield ScriptedModel(url, http)


@asynccontextmanager
async def scripted_model_process(*replies: Reply, echo_delay: float = 0.0) -> AsyncIterator[ScriptedModel]:
    """A scripted model as a process of its own, killed on leaving."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "devtools.scripted_model",
        f"--echo-delay={echo_delay}",
        stdout=asyncio.subprocess.PIPE,
        cwd=_PROJECT,
        env=os.environ | {"PYTHONPATH": str(_PROJECT)},
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), timeout=20)
        if not line:
            raise RuntimeError("the scripted model did not start")
        async with aiohttp.ClientSession(timeout=_PATIENCE) as http:
            model = ScriptedModel(line.split()[-1].decode(), http)
            await model.play(*replies)
            yield model
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
