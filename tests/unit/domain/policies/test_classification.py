"""A classifier's answer is found among stray text, and believed only if it makes sense."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.classification import Classification, Confidence, parse_classification

AGENTS = ("coder", "architect", "debug", "ask")
CODER = Classification("coder", Confidence.HIGH, "it asks for code")
PLAIN = '{"agent": "coder", "confidence": "high", "reason": "it asks for code"}'


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        f"  {PLAIN}\n",
        f"```json\n{PLAIN}\n```",
        f"```\n{PLAIN}```",
        f"Sure! Here you go:\n{PLAIN}\nAnything else?",
        f"I think {{coder}} fits. {PLAIN}",
        f"{{{{ {PLAIN}",
        f'The form is {{"agent": "…"}}. {PLAIN}',
        f'Not {{"agent": "debug", "confidence": "low", "reason": ""}} but {PLAIN}',
        f"<think>{{ not closed </think>{PLAIN}",
        f'{{"result": {PLAIN}}}',
        f"[{PLAIN}]",
        '{"reason": "it asks for code", "confidence": "HIGH", "agent": " Coder ", "more": {"agent": 1}}',
    ],
)
def test_finds_the_classification(text: str) -> None:
    assert parse_classification(text, AGENTS) == CODER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "coder",
        "{}",
        "[]",
        "null",
        '"coder"',
        "{'agent': 'coder', 'confidence': 'high'}",
        '{"agent": "coder", "confidence": "high"',
        '{"agent": "surgeon", "confidence": "high"}',
        '{"agent": "coder2"}',
        '{"agent": ""}',
        '{"agent": null}',
        '{"agent": 1}',
        '{"agent": ["coder"]}',
        '{"agent": {"agent2": "coder"}}',
        '{"Agent": "coder"}',
        '{"agent": "cоder"}',  # noqa: RUF001 - the o is Cyrillic
    ],
)
def test_what_makes_no_sense_is_none(text: str) -> None:
    assert parse_classification(text, AGENTS) is None


@pytest.mark.parametrize("confidence", ['"sure"', '""', "0.95", "null", "true", '["high"]', '{"is": "high"}'])
def test_an_unknown_confidence_is_low(confidence: str) -> None:
    found = parse_classification(f'{{"agent": "ask", "confidence": {confidence}}}', AGENTS)
    assert found == Classification("ask", Confidence.LOW, "")


@pytest.mark.parametrize("confidence", Confidence)
def test_known_confidences(confidence: Confidence) -> None:
    found = parse_classification(f'{{"agent": "ask", "confidence": "{confidence.lower()}"}}', AGENTS)
    assert found is not None
    assert found.confidence is confidence


def test_the_reason_is_cut_and_can_be_stored() -> None:
    found = parse_classification('{"agent": "ask", "reason": "a\\u0000\\ud800' + "x" * 1000 + '"}', AGENTS)
    assert found is not None
    assert found.reason == "a\ufffd\ufffd" + "x" * 497
    for reason in ("7", "null", "[]"):
        found = parse_classification(f'{{"agent": "ask", "reason": {reason}}}', AGENTS)
        assert found is not None
        assert found.reason == ""


def test_only_agents_that_exist_are_named() -> None:
    assert parse_classification(PLAIN, ()) is None
    assert parse_classification(PLAIN, {"Coder"}) == Classification("Coder", Confidence.HIGH, "it asks for code")


@pytest.mark.parametrize(
    "text",
    [
        "{" * 1_000_000,
        '{"a":' * 200_000,
        '{"agent":' + "[" * 200_000,
        "[" * 200_000 + PLAIN,
        '{"agent": "coder", "n": ' + "9" * 30_000 + "}",
        '{"a":"' * 100_000,
        "x" * 1_000_000 + PLAIN,
    ],
)
def test_hostile_text_is_none_and_soon(text: str) -> None:
    started = time.perf_counter()
    assert parse_classification(text, AGENTS) is None
    assert time.perf_counter() - started < 0.5


@given(st.text(), st.text())
def test_no_text_before_or_after_breaks_it(before: str, after: str) -> None:
    text = before.replace("{", "") + PLAIN + after.replace("{", "")
    assert parse_classification(text, AGENTS) == CODER


@given(st.text('{}[]":, agent\\coder', max_size=200))
def test_nothing_is_raised(text: str) -> None:
    parse_classification(text, AGENTS)
