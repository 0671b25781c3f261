"""Keyword routing finds the right agent for most requests in either language, and counts words, not letters."""

# ruff: noqa: RUF001 - Cyrillic letters are meant.

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.keyword_routing import ROUTABLE_AGENTS, route_by_keywords
from services.domain.policies.routing_lexicon import COMMANDS, CUES

_DATA = Path(__file__).resolve().parents[3] / "data"


def _routed(text: str) -> str | None:
    route = route_by_keywords(text)
    return None if route is None else route.agent


def _shares(file: str) -> tuple[float, dict[str, float]]:
    """The share of requests that are routed right: of all, and of each agent and language."""
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in (_DATA / file).read_text().splitlines():
        request = json.loads(line)
        part = f"{request['agent']} {request['language']}"
        total[part] += 1
        right[part] += _routed(request["text"]) == request["agent"]
    return right.total() / total.total(), {part: right[part] / total[part] for part in total}


@pytest.mark.parametrize(("file", "at_least"), [("routing.jsonl", 160), ("routing_held_out.jsonl", 60)])
def test_labelled_requests_are_routed_right(file: str, at_least: int) -> None:
    assert len((_DATA / file).read_text().splitlines()) >= at_least
    share, parts = _shares(file)
    assert len(parts) == 8
    assert share >= 0.85
    assert min(parts.values()) >= 0.75, parts


def test_no_held_out_request_is_among_those_the_lexicon_was_made_with() -> None:
    texts = [
        {json.loads(line)["text"] for line in (_DATA / file).read_text().splitlines()}
        for file in ("routing.jsonl", "routing_held_out.jsonl")
    ]
    assert not texts[0] & texts[1]


def test_to_fix_the_bug_is_debugging_as_much_as_coding() -> None:
    for text in ("Fix the bug", "Исправь баг"):
        route = route_by_keywords(text)
        assert route is not None
        assert route.scores["debug"] == route.scores["coder"] > 0


@pytest.mark.parametrize(
    ("word", "not_this_agent"),
    [
        ("Inspect", "architect"),
        ("Special respect", "architect"),
        ("Airplane planet", "architect"),
        ("Планета, планшет, планировщик", "architect"),
        ("Addendum", "coder"),
        ("Logins, логин", "debug"),
        ("Bugle, багаж", "debug"),
        ("Terrorist", "debug"),
        ("Whatsoever", "ask"),
    ],
)
def test_parts_of_words_do_not_count(word: str, not_this_agent: str) -> None:
    route = route_by_keywords(word)
    assert route is None or route.scores[not_this_agent] == 0


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        ("Add a test", "coder"),
        ("Can you add a test?", "coder"),
        ("could you please ADD a test???", "coder"),
        ("Can I add a test?", "ask"),
        ("How do I add a test?", "ask"),
        ("Why does the test I added fail?", "debug"),
        ("How should we organise the tests?", "architect"),
        ("What’s a test?", "ask"),
        ("The test isn't working. Why?", "debug"),
        ("I added an index but the query is still slow", "debug"),
        ("We get a KeyError in the importer. Add a default value.", "coder"),
        ("Добавь тест", "coder"),
        ("Не могли бы вы добавить тест?", "coder"),
        ("Можно ли добавить тест?", "ask"),
        ("Ещё добавь тест", "coder"),
        ("Объясни, почему тест назван так", "ask"),
        ("Тест падает после того, как я добавил индекс", "debug"),
        ("Как лучше организовать тесты?", "architect"),
        ("Frobnicate the widget", "coder"),
        ("Фробницируйте виджет", "coder"),
        ("> quoted\n\n- [ ] Explain this", "ask"),
    ],
)
def test_form_matters_as_much_as_words(text: str, agent: str) -> None:
    assert _routed(text) == agent


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "!!! ??? ...",
        "```\n\n```",
        "hello",
        "Привет",
        "42",
        "`fix_the_bug()`",
        "src/debug/design.py",
        "debugDesignPlan",
        "```python\ndef explain(): write(plan)\n```",
        "§",
    ],
)
def test_what_says_nothing_is_routed_nowhere(text: str) -> None:
    assert route_by_keywords(text) is None


def test_code_says_nothing_but_errors_in_it_do() -> None:
    assert _routed("```\nfix implement refactor\n```\nWhat is this?") == "ask"
    assert _routed("```\nTraceback (most recent call last):\n```") == "debug"
    assert _routed("What does `implement` do?") == "ask"


def test_saying_a_word_often_is_saying_it_once() -> None:
    assert route_by_keywords("error " * 500) == route_by_keywords("error")


def test_every_entry_of_the_lexicon_is_well_formed_and_counts_once_for_an_agent() -> None:
    for table in (COMMANDS, CUES):
        assert set(table) == set(ROUTABLE_AGENTS)
        for weighed in table.values():
            entries = [entry.strip() for listed in weighed.values() for entry in listed.split(",")]
            assert [entry for entry, count in Counter(entries).items() if count > 1 or not entry] == []
            assert [entry for entry in entries if "ё" in entry or "'" in entry or entry != entry.lower()] == []
            assert [entry for entry in entries if "*" in entry.replace("* ", " ").removesuffix("*")] == []


@given(st.text() | st.text("addexplain ?.,`'-*\nпочему", max_size=300))
def test_any_text_has_a_route_or_none(text: str) -> None:
    route = route_by_keywords(text)
    if route is not None:
        assert tuple(route.scores) == ROUTABLE_AGENTS
        assert route.scores[route.agent] == max(route.scores.values()) > 0


@pytest.mark.parametrize(
    "text",
    [
        piece * (1_000_000 // len(piece))
        for piece in ("A", "a ", "`", "`a", "```", "a, ", "please ", "?", "a?", "\n", "what is the ", "-", "'s", "aA_")
    ],
    ids=ascii,
)
def test_long_text_takes_no_time(text: str) -> None:
    started = time.perf_counter()
    route_by_keywords(text)
    assert time.perf_counter() - started < 0.5
