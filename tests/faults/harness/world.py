"""Everything a row breaks, started together: a PostgreSQL, a scripted model, replicas, and the way to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from devtools.local_postgres import LocalPostgres, local_postgres
from devtools.scripted_model import Reply, ScriptedModel, scripted_model_process
from tests.faults.harness.caller import Network, network
from tests.faults.harness.replicas import Replica, running_replicas
from tests.support.pooler import local_pooler


@dataclass(frozen=True, slots=True)
class World:
    """What is running. The database is `postgres.url`."""

    postgres: LocalPostgres
    model: ScriptedModel
    replicas: list[Replica]
    net: Network

    async def refused_histories(self) -> int:
        """How many requests the model, a strict judge of tool calls and their results, has refused (G7)."""
        return (await self.model.counts())["refused"]


@asynccontextmanager
async def world(
    *script: Reply,
    replicas: int = 2,
    settings: Mapping[str, str] | None = None,
    postgres: str = "",
    pooled: bool = False,
) -> AsyncIterator[World]:
    """A world of one's own, gone at the end. `postgres` are further lines of the database's configuration.

    With `pooled` the replicas reach it through a pooler in transaction mode, and around it for their wake-ups.
    """
    async with (
        local_postgres(postgres) as database,
        _way_to(database, pooled) as (url, way),
        scripted_model_process(*script) as model,
        running_replicas(replicas, url, model.url, {**(settings or {}), **way}) as running,
        network(running) as net,
    ):
        yield World(database, model, running, net)


@asynccontextmanager
async def _way_to(database: LocalPostgres, pooled: bool) -> AsyncIterator[tuple[str, Mapping[str, str]]]:
    """The address for replicas, and the settings that go with it."""
    if not pooled:
        yield database.url, {}
        return
    async with local_pooler(database.url) as url:
        yield url, {"DATABASE_POOLED": "true", "DATABASE_DIRECT_URL": database.url}
