"""The checks themselves, where no request can show them."""

from __future__ import annotations

from server.converters.checks import Checks
from tests.unit.converters.refusals import violations


def test_the_number_of_violations_is_bounded() -> None:
    checks = Checks()
    for number in range(1000):
        checks.wrong(f"field[{number}]", "is wrong")
    assert len(violations(checks.done)) == 64


def test_lone_surrogates_are_refused_where_the_wire_lets_them_through() -> None:
    checks = Checks()
    checks.text("title", "\ud800")
    assert violations(checks.done) == ["title"]
