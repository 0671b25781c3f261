"""Puts failpoints around every durable step of the real server, by giving those who put it together wrapped parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.util import await_only

from server import bootstrap, engine
from services.application.ports import Claim, Committed, Decision
from services.domain.errors import DatabaseUnavailableError
from services.domain.model_exchange import ModelAnswer, ModelError, ModelEvent, ModelRequest
from services.infrastructure.llm import OpenAiModelClient
from services.infrastructure.persistence.database import Database, T, Unit
from services.infrastructure.persistence.open import current_database
from services.infrastructure.persistence.session_store import SqlSessionStore
from tests.faults.points.failpoints import Failpoints, Position
from tests.faults.points.step_names import current_step, name_of_change, name_of_step, name_of_unit


def install(points: Failpoints) -> None:
    """Makes every server that this process builds from now on pass these points."""

    @asynccontextmanager
    async def failing_database(*given: Any, **options: Any) -> AsyncIterator[Database]:
        async with current_database(*given, **options) as database:
            yield FailingDatabase(database, points)

    wrapped = (
        (bootstrap, "current_database", failing_database),
        (engine, "SqlSessionStore", NamingSessionStore),
        (engine, "OpenAiModelClient", partial(FailingModelClient, points)),
    )
    for module, name, part in wrapped:
        if not hasattr(module, name):
            raise AssertionError(f"{module.__name__} no longer names {name}: no point of it would ever be reached")
        setattr(module, name, part)


class FailingDatabase:
    """A `Database` over another one, with points before, inside and after each write."""

    def __init__(self, database: Database, points: Failpoints) -> None:
        self._database = database
        self._points = points

    @property
    def dialect(self) -> str:
        return self._database.dialect

    async def read(self, unit: Unit[T]) -> T:
        return await self._database.read(unit)

    async def read_snapshot(self, unit: Unit[T]) -> T:
        return await self._database.read_snapshot(unit)

    async def write(self, unit: Unit[T], *, repeatable: bool) -> T:
        step = current_step.get() or name_of_unit(unit)

        def until_commit(connection: Connection) -> T:
            result = unit(connection)
            self._points.inside(step, _sleeper(connection), _away)
            return result

        await self._points.at(step, Position.BEFORE, _away)
        result = await self._database.write(until_commit, repeatable=repeatable)
        await self._points.at(step, Position.AFTER, _away)
        return result

    async def write_statement(self, unit: Unit[T]) -> T:
        step = current_step.get() or name_of_unit(unit)
        await self._points.at(step, Position.BEFORE, _away)
        result = await self._database.write_statement(unit)
        await self._points.at(step, Position.AFTER, _away)
        return result

    async def migrate(self, unit: Unit[T]) -> T:
        return await self._database.migrate(unit)

    async def close(self) -> None:
        await self._database.close()


class NamingSessionStore(SqlSessionStore):
    """The real store; what it writes has the name of the command or step it writes it for."""

    async def change(self, owner_id: str, session_id: str, decide: Decision, **options: Any) -> Committed:
        token = current_step.set(name_of_change(decide))
        try:
            return await super().change(owner_id, session_id, decide, **options)
        finally:
            current_step.reset(token)

    async def step(self, claim: Claim, decide: Decision, **options: Any) -> Committed:
        token = current_step.set(name_of_step(decide))
        try:
            return await super().step(claim, decide, **options)
        finally:
            current_step.reset(token)


class FailingModelClient:
    """A `ModelClient` over the real one, with points around the call and behind the first words of the answer."""

    def __init__(self, points: Failpoints, *given: Any, **options: Any) -> None:
        self._points = points
        self._model = OpenAiModelClient(*given, **options)

    @asynccontextmanager
    async def stream(self, request: ModelRequest) -> AsyncIterator[AsyncIterator[ModelEvent]]:
        await self._points.at("model.call", Position.BEFORE, _model_away)
        async with self._model.stream(request) as events:
            yield self._watched(events)

    async def _watched(self, events: AsyncIterator[ModelEvent]) -> AsyncIterator[ModelEvent]:
        first = True
        async for event in events:
            if isinstance(event, ModelAnswer):
                await self._points.at("model.call", Position.AFTER, _model_away)
            yield event
            if first and not isinstance(event, ModelAnswer):
                first = False
                await self._points.at("model.first_words", Position.AFTER, _model_away)

    async def aclose(self) -> None:
        await self._model.aclose()


def _away() -> Exception:
    return DatabaseUnavailableError("failpoint: the database connection was lost")


def _model_away() -> Exception:
    return ModelError("failpoint: the model's connection was lost", retryable=True)


def _sleeper(connection: Connection) -> Any:
    """Sleeps where the unit runs: in its greenlet on PostgreSQL, in the writer's thread on SQLite."""
    return (lambda seconds: await_only(asyncio.sleep(seconds))) if connection.dialect.is_async else time.sleep
