"""Each owner's first call in a second is let in, up to half of what was let in before."""

from __future__ import annotations

import pytest

from server.fair_share import FairShare
from tests.support.clock import ManualClock

USUAL = 40


@pytest.fixture
def share(clock: ManualClock) -> FairShare:
    """Behind a second in which 40 calls were let in."""
    share = FairShare(clock.monotonic)
    for _ in range(USUAL):
        share.count()
    clock.advance(1.0)
    share.count()
    return share


def taken(share: FairShare, clock: ManualClock, owners: int) -> list[str]:
    """Whose calls are let in when so many owners call twice each, spread over a second."""
    names = []
    for number in range(owners):
        names += [f"owner{number}" for _ in range(2) if share.takes(f"owner{number}")]
        clock.advance(1.0 / owners)
    return names


def test_of_each_owner_one_in_a_second(share: FairShare, clock: ManualClock) -> None:
    assert share.takes("ann")
    assert not share.takes("ann")
    clock.advance(0.5)
    assert not share.takes("ann")
    assert share.takes("bob")
    clock.advance(0.5)
    assert share.takes("ann")


def test_of_many_owners_half_of_what_was_let_in_before(share: FairShare, clock: ManualClock) -> None:
    for _ in range(20):
        names = taken(share, clock, 10 * USUAL)
        assert USUAL / 2 <= len(names) == len(set(names)) <= USUAL / 2 + 2


def test_they_are_spread_over_the_second(share: FairShare, clock: ManualClock) -> None:
    clock.advance(1.0)
    assert [share.takes(f"owner{number}") for number in range(USUAL)].count(True) <= 2


def test_what_was_let_in_long_ago_fades(share: FairShare, clock: ManualClock) -> None:
    for _ in range(60):
        clock.advance(1.0)
        share.count()
    assert len(taken(share, clock, 10 * USUAL)) <= 3


def test_somebody_is_let_in_where_nothing_was_before(clock: ManualClock) -> None:
    share = FairShare(clock.monotonic)
    assert taken(share, clock, 10)
