"""A server looks by itself for what no hint has told it, whatever goes wrong with the looking."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest

from services.application.background.remote_watches import RemoteWatches
from services.application.event_feed import EventFeed
from services.application.ports import Growth, Incarnation
from services.domain.errors import DatabaseUnavailableError
from tests.support.memory_log import MemoryLog

QUIET = 29  # whose turn it is in the last round of thirty only


class MemoryWatches:
    """The `Watches` of one server, which note who was looked at; `meanwhile` happens during one look."""

    def __init__(self) -> None:
        self.looked_at: list[set[int]] = []
        self.meanwhile: Callable[[], None] | None = None

    async def change(self, incarnation: str, *, added: Collection[int], removed: Collection[int]) -> None:
        pass

    async def grown(self, incarnation: str, looked_at: Collection[int]) -> list[Growth]:
        self.looked_at.append(set(looked_at))
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return []

    async def forget_the_dead(self) -> None:
        pass


@pytest.fixture
async def quiet() -> tuple[MemoryWatches, RemoteWatches]:
    """Somebody has watched a quiet session for a while, so that a round does not look at it."""
    feed, watches = EventFeed(MemoryLog()), MemoryWatches()
    feed.subscribe(QUIET, 0)
    remote = RemoteWatches(watches, feed, Incarnation())
    for _ in range(12):
        await remote.look()
    assert watches.looked_at[-1] == set()
    return watches, remote


async def test_when_something_was_missed_everything_is_looked_at_once(
    quiet: tuple[MemoryWatches, RemoteWatches],
) -> None:
    watches, remote = quiet
    remote.hear(None)
    await remote.look()
    await remote.look()
    assert watches.looked_at[-2:] == [{QUIET}, set()]


async def test_what_is_missed_during_a_look_is_looked_at_in_the_next(
    quiet: tuple[MemoryWatches, RemoteWatches],
) -> None:
    watches, remote = quiet
    watches.meanwhile = lambda: remote.hear(None)
    await remote.look()
    await remote.look()
    assert watches.looked_at[-2:] == [set(), {QUIET}]


async def test_a_look_in_vain_is_made_again(quiet: tuple[MemoryWatches, RemoteWatches]) -> None:
    watches, remote = quiet

    def away() -> None:
        raise DatabaseUnavailableError("away")

    watches.meanwhile = away
    remote.hear(None)
    with pytest.raises(DatabaseUnavailableError):
        await remote.look()
    await remote.look()
    assert watches.looked_at[-2:] == [{QUIET}, {QUIET}]


async def test_who_is_new_is_looked_at_often_then_rarely_and_never_again_once_gone() -> None:
    feed, watches = EventFeed(MemoryLog()), MemoryWatches()
    remote = RemoteWatches(watches, feed, Incarnation())
    early = [feed.subscribe(key, 0) for key in range(40)]
    for _ in range(25):
        await remote.look()
    late = feed.subscribe(99, 0)
    for _ in range(65):
        await remote.look()
    rounds = {key: [round for round, looked in enumerate(watches.looked_at, 1) if key in looked] for key in (7, 99)}
    assert rounds == {7: [*range(1, 11), 37, 67], 99: [*range(26, 36), 39, 69]}
    for cursor in (*early, late):
        cursor.close()
    await remote.look()
    assert watches.looked_at[-1] == set()
