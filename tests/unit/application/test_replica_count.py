"""How many replicas there are is known without asking, and what was known stays while nobody can be asked."""

from __future__ import annotations

import asyncio

import pytest

from services.application.background.replica_count import ReplicaCount
from services.domain.errors import DatabaseUnavailableError
from tests.unit.application.engine import MemoryStore, ScriptedLeases


async def test_the_last_number_counts() -> None:
    leases = ScriptedLeases(MemoryStore())
    count = ReplicaCount(leases)
    assert count() == 1
    leases.living = {"one": 5.0, "two": 5.0, "three": 5.0}
    await count.look()
    assert count() == 3
    leases.away = True
    with pytest.raises(DatabaseUnavailableError):
        await count.look()
    assert count() == 3


async def test_a_database_that_is_away_does_not_end_the_looking() -> None:
    leases = ScriptedLeases(MemoryStore())
    leases.away = True
    looking = asyncio.create_task(ReplicaCount(leases).run())
    await asyncio.sleep(0)
    assert not looking.done()
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
