"""What all figures need while they are measured: the model, the databases, the floor and the servers beside it."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import grpc

from devtools.local_postgres import local_postgres
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import Reply, ScriptedModel, When, reply, text
from tests.bench.child import program
from tests.bench.targets import TOKEN, Floor, Runtime, Target
from tests.support.postgres import PostgresServer
from tests.support.unlimited import UNLIMITED

DATABASES = ("SQLite", "PostgreSQL")


def saying(words: str, tokens: int, every: float) -> Reply:
    """The answer to every message with these words: so many tokens, one every so many seconds."""
    said = text(TOKEN * tokens, chunk_characters=len(TOKEN), chunk_delay=every)
    return reply(said, when=When(last_user_contains=words), repeat=True)


class Stage:
    """One run of the bench. `model` is the scripted model; what is started here ends with the run."""

    def __init__(
        self,
        stack: AsyncExitStack,
        directory: Path,
        *,
        model: ScriptedModel,
        model_pid: int,
        postgres: PostgresServer,
    ) -> None:
        self._stack = stack
        self._directory = directory
        self._postgres = postgres
        self._began = time.monotonic()
        self._trio: tuple[Target, ...] = ()
        self.model = model
        self.model_pid = model_pid

    def say(self, line: str) -> None:
        """Shows that something goes on."""
        print(f"{time.monotonic() - self._began:6.1f} s  {line}", file=sys.stderr, flush=True)

    async def new_database(self, kind: str) -> str:
        """The address of an empty database."""
        if kind == "SQLite":
            return f"sqlite:///{Path(tempfile.mkdtemp(dir=self._directory), 'bench.db')}"
        return self._postgres.url_of(await self._stack.enter_async_context(self._postgres.database()))

    @asynccontextmanager
    async def runtime(self, kind: str, settings: Mapping[str, str] | None = None) -> AsyncIterator[Runtime]:
        """A server with a database of its own."""
        quiet = {"LOG_LEVEL": "WARNING"} | UNLIMITED | dict(settings or {})
        async with (
            RuntimeProcess(await self.new_database(kind), self.model.url, quiet) as process,
            grpc.aio.insecure_channel(process.address) as channel,
        ):
            yield Runtime(kind, process.pid, channel, process.address)

    async def floor_and_runtimes(self) -> tuple[Target, ...]:
        """The floor and a server on each database, started once and used by several figures."""
        if not self._trio:
            self.say("starting the floor and a server on each database")
            enter = self._stack.enter_async_context
            floor = await enter(program("tests.bench.floor", self.model.url))
            channel = await enter(grpc.aio.insecure_channel(floor.address))
            runtimes = [await enter(self.runtime(kind)) for kind in DATABASES]
            self._trio = (Floor(floor.pid, channel), *runtimes)
        return self._trio


@asynccontextmanager
async def running_stage() -> AsyncIterator[Stage]:
    """The stage with a model and a PostgreSQL of its own."""
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agent-runtime-bench-")))
        # Quiet, since it remarks on every turn that is stopped while it speaks.
        model = await stack.enter_async_context(program("devtools.scripted_model", quiet=True))
        http = await stack.enter_async_context(aiohttp.ClientSession())
        postgres = await stack.enter_async_context(local_postgres())
        inner = await stack.enter_async_context(AsyncExitStack())
        yield Stage(
            inner,
            directory,
            model=ScriptedModel(model.address, http),
            model_pid=model.pid,
            postgres=PostgresServer(postgres.url),
        )
