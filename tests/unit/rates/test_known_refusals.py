"""What was refused is refused again until it may pass, and no longer; what is remembered is bounded."""

from __future__ import annotations

from services.application.ports.rates import RateAnswer
from services.infrastructure.rates import KnownRefusals
from tests.support.clock import ManualClock


def refused(free_in: float, limit: int = 60) -> RateAnswer:
    return RateAnswer(False, limit, 0, free_in)


def test_a_refusal_holds_until_its_time_has_come() -> None:
    clock = ManualClock()
    known = KnownRefusals(clock.monotonic)
    known.remember("a", refused(10.0))
    clock.advance(4.0)
    assert known.refusal("a", 60) == refused(6.0)
    clock.advance(6.0)
    assert known.refusal("a", 60) is None
    assert len(known) == 0


def test_only_who_was_refused_is_refused() -> None:
    known = KnownRefusals(ManualClock().monotonic)
    known.remember("a", refused(10.0))
    assert known.refusal("b", 60) is None
    assert known.refusal("a", 120) is None, "another limit"


def test_nobody_is_refused_for_longer_than_a_window() -> None:
    clock = ManualClock()
    known = KnownRefusals(clock.monotonic)
    known.remember("a", refused(3_600.0))  # by a clock that was set back
    clock.advance(60.0)
    assert known.refusal("a", 60) is None


def test_what_is_remembered_is_bounded() -> None:
    known = KnownRefusals(ManualClock().monotonic, capacity=3)
    for name in "abcde":
        known.remember(name, refused(10.0))
    assert len(known) == 3
    assert [known.refusal(name, 60) is not None for name in "abcde"] == [False, False, True, True, True]
