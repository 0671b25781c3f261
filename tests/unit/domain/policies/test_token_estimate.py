"""Estimates are rather too high: for English, Russian and code they go beyond what one reckons with."""

from __future__ import annotations

import pytest

from services.domain.model_exchange import ToolSpec
from services.domain.policies.token_estimate import frame_tokens, text_tokens

ENGLISH = "The runtime keeps the session and never loses or repeats anything while doing so. "
RUSSIAN = "Среда хранит сессию и ничего при этом не теряет и не повторяет. "
CODE = "def total(messages: Sequence[Message]) -> int:\n    return sum(map(tokens_of, messages))\n"


# Characters to a token, as a rule of thumb.
@pytest.mark.parametrize(("text", "characters"), [(ENGLISH, 4), (RUSSIAN, 2), (CODE, 3.5)], ids=["en", "ru", "code"])
def test_a_text_is_not_underestimated_and_not_wildly_overestimated(text: str, characters: float) -> None:
    assert len(text) / characters <= text_tokens(text) <= 1.6 * len(text) / characters


def test_nothing_is_nothing_and_anything_is_something() -> None:
    assert text_tokens("") == 0
    assert text_tokens("x") == 1
    assert text_tokens("\ud800") >= 1


def test_tools_count_with_their_schemas() -> None:
    tool = ToolSpec("read_file", "Reads a file.", {"type": "object", "properties": {"path": {"type": "string"}}})
    assert frame_tokens("be good", (tool, tool)) > frame_tokens("be good", (tool,)) > frame_tokens("be good", ())
