"""A title is the beginning of the text, cut where a reader sees one character end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.titles import MAX_TITLE_LENGTH, title_from

# What a reader sees as one character each, though it is several.
VISIBLE_CHARACTERS = [
    "a",
    "я",
    "漢",
    "e\u0301",
    "o\u0302\u0323",
    "n\u20dd",
    "\u0915\u093f",
    "\u0e01\u0e33"[:1] + "\u0e35\u0e48",
    "☀️",
    "👍🏽",
    "👩‍👩‍👧‍👦",
    "🏳️‍🌈",
    "🇩🇪",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    "1️⃣",
]


@given(st.lists(st.sampled_from(VISIBLE_CHARACTERS), min_size=1, max_size=400), st.integers(0, 30))
def test_no_visible_character_is_ever_split(characters: list[str], lead: int) -> None:
    characters = ["x"] * (MAX_TITLE_LENGTH - 20 + lead) + characters
    title = title_from("".join(characters))
    assert len(title) <= MAX_TITLE_LENGTH
    kept = ""
    for character in characters:
        if kept == title:
            break
        kept += character
    assert kept == title
    assert len(title) > MAX_TITLE_LENGTH - 12 or title == "".join(characters), "cut more than one character too many"


@given(st.text())
def test_a_title_is_the_beginning_of_the_stripped_text(text: str) -> None:
    title = title_from(text)
    assert text.strip().startswith(title)
    assert title == title.strip()
    assert bool(title) == bool(text.strip())


@pytest.mark.parametrize("length", [1, MAX_TITLE_LENGTH - 1, MAX_TITLE_LENGTH])
def test_what_fits_is_kept_whole(length: int) -> None:
    assert title_from(" " + "x" * length + "\n") == "x" * length


def test_what_does_not_fit_is_cut_to_the_limit() -> None:
    assert title_from("x" * 501) == "x" * 500


def test_no_space_is_left_at_the_cut() -> None:
    assert title_from("x" * 499 + " y") == "x" * 499


def test_a_line_break_of_two_characters_is_not_split() -> None:
    assert title_from("x" * 499 + "\r\n" + "y") == "x" * 499


@pytest.mark.parametrize("pairs", [249, 250, 251])
def test_flags_are_cut_between_flags(pairs: int) -> None:
    title = title_from("x" + "🇩🇪" * pairs)
    assert title == "x" + "🇩🇪" * min(pairs, 249)


def test_composed_hangul_syllables_are_not_split() -> None:
    syllable = "\u1112\u1161\u11ab"
    title = title_from("x" * 498 + " " + syllable)
    assert title == "x" * 498


def test_a_run_of_accents_longer_than_a_title_is_cut_all_the_same() -> None:
    assert len(title_from("e" + "\u0301" * 1000)) == MAX_TITLE_LENGTH
