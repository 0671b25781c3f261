"""What providers count corrects the estimates: at once when it is more, slowly when it is less, within bounds."""

from __future__ import annotations

import pytest

from services.application.turns.token_gauge import TokenGauge


def test_an_estimate_holds_until_somebody_has_counted() -> None:
    gauge = TokenGauge()
    assert (gauge.tokens("m", 5000), gauge.estimate_within("m", 5000)) == (5000, 5000)


def test_a_higher_count_corrects_it_at_once_and_for_that_model_alone() -> None:
    gauge = TokenGauge()
    gauge.heard("m", 5000, 10_000)
    assert (gauge.tokens("m", 5000), gauge.estimate_within("m", 5000)) == (10_000, 2500)
    assert gauge.tokens("other", 5000) == 5000


def test_lower_counts_correct_it_little_by_little() -> None:
    gauge = TokenGauge()
    gauge.heard("m", 10_000, 8000)
    assert gauge.tokens("m", 10_000) == 9600
    for _ in range(50):
        gauge.heard("m", 10_000, 8000)
    assert gauge.tokens("m", 10_000) == 8000


@pytest.mark.parametrize(("count", "tokens"), [(10**9, 20_000), (0, 2500)])
def test_no_count_is_believed_beyond_reason(count: int, tokens: int) -> None:
    gauge = TokenGauge()
    for _ in range(99):
        gauge.heard("m", 5000, count)
    assert gauge.tokens("m", 5000) == pytest.approx(tokens, abs=1)


def test_a_small_question_teaches_nothing() -> None:
    gauge = TokenGauge()
    gauge.heard("m", 10, 1000)
    assert gauge.tokens("m", 5000) == 5000
