"""What the rows talk to: a failing server on SQLite, or two on one PostgreSQL, and the scripted model behind them."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from devtools.scripted_model import ScriptedModel, running_scripted_model
from tests.faults.points.failing_server import FailingServer
from tests.faults.points.failpoints import FaultBoard
from tests.faults.points.nursery import Nursery, nursery
from tests.faults.points.script import SCRIPT
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.runtime_client import RuntimeClient, connected
from tests.support.unlimited import UNLIMITED

Size = Literal["reduced", "full"]
"""How much of a row is run: what a CI can wait for, or everything."""


LEASE = 1.5
SETTINGS = {
    "LISTEN": "127.0.0.1:0",
    "DEV": "true",
    "LLM_MODEL": "scripted",
    "LEASE": str(LEASE),
    # Silence for so long is a violation; on a busy machine leases are lost and turns taken over, which takes seconds.
    "HEARTBEAT": "45",
    "LOG_LEVEL": "WARNING",
} | UNLIMITED


@dataclass(slots=True)
class Deployment:
    """The servers of one database. Callers prefer the first that serves, so that faults strike where it is meant."""

    kind: str
    database_url: str
    servers: list[FailingServer]
    board: FaultBoard
    model: ScriptedModel

    def addresses(self) -> list[str]:
        """Those that serve, in order of preference."""
        return [address for server in self.servers if (address := server.address)]

    async def whole(self) -> None:
        """Returns once every server serves."""
        await asyncio.gather(*(server.serving() for server in self.servers))

    @asynccontextmanager
    async def clients(self, owner: str) -> AsyncIterator[list[RuntimeClient]]:
        """A client of each server, for callers who want no second try."""
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(connected(address, owner)) for address in self.addresses()]

    def crashes(self, *expected: int) -> list[str]:
        """Each end of a server that nobody caused, with what the servers wrote last; `expected` are exit codes."""
        ends = [(server.name, code) for server in self.servers for code in server.exit_codes if code not in expected]
        return [f"G10: {self.kind} {name} ended with {code}: {self.log_tail(3)}" for name, code in ends]

    def log_tail(self, lines: int = 40) -> str:
        """What the servers wrote last."""
        tails = [
            server.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:] for server in self.servers
        ]
        return "\n".join(line for tail in tails for line in tail)


@dataclass(frozen=True, slots=True)
class Ground:
    """What deployments stand on, which takes long to start: a PostgreSQL, and the process that servers come from."""

    postgres: PostgresServer
    nursery: Nursery


@asynccontextmanager
async def prepared_ground() -> AsyncIterator[Ground]:
    """For all deployments of a row."""
    async with running_postgres() as postgres, nursery() as forked:
        yield Ground(postgres, forked)


@asynccontextmanager
async def deployed(kind: str, ground: Ground, settings: Mapping[str, str] | None = None) -> AsyncIterator[Deployment]:
    """Servers on an empty database of this kind: one on SQLite, two on PostgreSQL."""
    # A server that is killed leaves the model in the middle of a sentence; that is no news here.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agent-runtime-points-")))
        model = await stack.enter_async_context(running_scripted_model(*SCRIPT))
        if kind == "sqlite":
            url = f"sqlite:///{directory / 'runtime.db'}"
        else:
            url = ground.postgres.url_of(await stack.enter_async_context(ground.postgres.database()))
        chosen = SETTINGS | {"DATABASE_URL": url, "LLM_PROXY_URL": model.url} | dict(settings or {})
        board = FaultBoard(directory / "board")
        names = ("server0",) if kind == "sqlite" else ("server0", "server1")
        running = [FailingServer(name, ground.nursery, board.directory, directory, chosen) for name in names]
        for server in running:
            server.keep_running()
            stack.push_async_callback(server.stop)
        deployment = Deployment(kind, url, running, board, model)
        await deployment.whole()
        yield deployment
