"""The window is exact at any moment, whatever came before, and knows no more names than it may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.application.ports.rates import WINDOW_SECONDS
from services.infrastructure.rates import LocalShare, LocalWindows
from tests.support.clock import ManualClock

# Eighths of a second, which floating point adds without an error.
_STEP = 1 / 8


def pauses(longest: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.integers(0, longest * 8).map(lambda steps: steps * _STEP), max_size=60)


@given(limit=st.integers(1, 8), waits=pauses(90))
def test_no_window_of_a_minute_holds_more_than_the_limit_and_none_is_refused_below_it(
    limit: int, waits: list[float]
) -> None:
    clock = ManualClock()
    windows = LocalWindows(clock.monotonic)
    admitted: list[float] = []
    for wait in waits:
        clock.advance(wait)
        now = clock.monotonic()
        counting = [time for time in admitted if time > now - WINDOW_SECONDS]
        answer = windows.admit("a", limit)
        assert answer.admitted is (len(counting) < limit)
        if answer.admitted:
            admitted.append(now)
            counting.append(now)
        assert answer.remaining == limit - len(counting)
        assert answer.free_in == counting[0] + WINDOW_SECONDS - now


@given(limit=st.integers(1, 5), waits=pauses(20))
def test_whoever_waits_as_long_as_told_is_let_in_and_nobody_sooner(limit: int, waits: list[float]) -> None:
    clock = ManualClock()
    windows = LocalWindows(clock.monotonic)
    for wait in waits:
        clock.advance(wait)
        answer = windows.admit("a", limit)
        if answer.admitted:
            continue
        assert 0 < answer.free_in <= WINDOW_SECONDS
        clock.advance(answer.free_in - _STEP)
        assert windows.refusal("a", limit) is not None
        clock.advance(_STEP)
        assert windows.admit("a", limit).admitted


def test_a_refused_call_takes_no_place() -> None:
    clock = ManualClock()
    windows = LocalWindows(clock.monotonic)
    assert windows.admit("a", 1).admitted
    for _ in range(59):
        clock.advance(1)
        assert not windows.admit("a", 1).admitted
    clock.advance(1)
    assert windows.admit("a", 1).admitted


def test_a_jump_of_the_wall_clock_lets_nobody_in_and_keeps_nobody_out() -> None:
    clock = ManualClock()
    windows = LocalWindows(clock.monotonic)
    assert windows.admit("a", 1).admitted
    clock.set_wall(clock.now().replace(year=2031))
    assert not windows.admit("a", 1).admitted
    clock.set_wall(clock.now().replace(year=2029))
    clock.advance(60)
    assert windows.admit("a", 1).admitted


def test_a_limit_that_falls_counts_what_was_let_in_before() -> None:
    clock = ManualClock()
    windows = LocalWindows(clock.monotonic)
    for _ in range(4):
        windows.admit("a", 4)
        clock.advance(1)
    answer = windows.admit("a", 2)
    assert (answer.admitted, answer.limit, answer.remaining) == (False, 2, 0)
    assert answer.free_in == 2 + 60 - 4  # when the third is gone one counts


def test_the_names_of_the_last_minute_are_known_and_not_more_than_fit() -> None:
    clock = ManualClock()
    windows = LocalWindows(clock.monotonic, capacity=100)
    for number in range(1_000):
        windows.admit(f"old {number}", 60)
        assert len(windows) <= 100
    clock.advance(61)
    for number in range(100):
        windows.admit(f"new {number}", 60)
    assert not windows.admit("new 0", 1).admitted
    assert len(windows) <= 100


def test_nobody_escapes_a_limit_by_many_names_while_trying() -> None:
    windows = LocalWindows(ManualClock().monotonic, capacity=50)
    assert windows.admit("flooding", 1).admitted
    for number in range(1_000):
        windows.admit(f"name {number}", 1)
        if number % 10 == 0:
            assert not windows.admit("flooding", 1).admitted


async def test_a_replica_takes_its_share_rounded_up_of_as_many_as_live() -> None:
    living = [1]
    windows = LocalWindows(ManualClock().monotonic)
    share = LocalShare(windows, lambda: living[0])
    assert [(await share.admit("a", 60)).limit for living[0] in (1, 2, 7, 61)] == [60, 30, 9, 1]
