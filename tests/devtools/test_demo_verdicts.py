"""A verdict is good only if every promise was looked at and nothing speaks against it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from client.chat.screen import Screen
from devtools.demo.verdicts import Promise, Verdicts


@pytest.fixture
def all_held() -> Verdicts:
    verdicts = Verdicts()
    for promise in Promise:
        verdicts.check(promise, True, "looked at")
    return verdicts


def shown(verdicts: Verdicts) -> list[str]:
    output = io.StringIO()
    verdicts.show(Screen(Console(file=output, width=200)))
    return output.getvalue().splitlines()


def test_all_held(all_held: Verdicts) -> None:
    assert all_held.all_hold
    assert len(shown(all_held)) == len(Promise)
    assert all(line.startswith("✓ ") for line in shown(all_held))


def test_one_finding_against_a_promise_breaks_it_for_good(all_held: Verdicts) -> None:
    all_held.check(Promise.G2, False, "number 7 came twice")
    all_held.check(Promise.G2, True, "and then it was fine")
    assert not all_held.all_hold
    assert all_held.against(Promise.G2) == ["number 7 came twice"]
    lines = shown(all_held)
    at = next(n for n, line in enumerate(lines) if line.startswith("✗ "))
    assert lines[at].startswith("✗ G2")
    assert lines[at + 1].strip() == "not so: number 7 came twice"
    assert sum(line.startswith("✗ ") for line in lines) == 1


def test_what_was_never_checked_does_not_hold() -> None:
    verdicts = Verdicts()
    for promise in set(Promise) - {Promise.G9}:
        verdicts.check(promise, True, "looked at")
    assert not verdicts.all_hold
    assert verdicts.against(Promise.G9) == ["never checked"]
    assert verdicts.against(Promise.G1) == []


def test_promises_are_told_apart_even_if_they_share_a_name() -> None:
    assert len({promise.value for promise in Promise}) == len(Promise.__members__)
