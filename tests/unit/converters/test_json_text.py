"""A text is taken for JSON exactly when every reader takes it for JSON, and quickly even when it is hostile."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.converters.json_text import flaw_of_json

MEBIBYTE = 1024 * 1024


@pytest.mark.parametrize(
    "text",
    [
        *("0", "-1.5e300", '""', "true", "null", "[]", "{}", ' \n{"a": [1, "b"]}\t '),
        *('"\\u0000\\ud83d\\ude00"', '"\u202e\ufeff"', "9" * 5000, '{"a": 1, "a": 2}'),
        '"' + "[{" * 1000 + '"',
        '["' + '\\"[' * 1000 + '", "' + "\\\\" * 999 + '", "]"]',
        "[" * 64 + "]" * 64,
        '{"[":' * 64 + '"]"' + "}" * 64,
        "[" + "[]," * 1000 + "{}]",
    ],
)
def test_json_is_taken(text: str) -> None:
    assert flaw_of_json(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "{", "[1,]", "{'a': 1}", "01", "+1", ".5", "NaN", "Infinity", "undefined", "tru", "1 2", "{} x"),
        *(
            '"\n"',
            '"\x00"',
            '"\\x"',
            '"',
            "\ufeff{}",
            '"\\ud800"',
            '"\\udfff"',
            '"\ud800"',
            "// no",
            "```json\n{}\n```",
        ),
        "[" * 65 + "]" * 65,
        '{"a":' * 65 + "1" + "}" * 65,
        '["\\\\", ' + "[" * 64 + "]" * 65,
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
    ],
)
def test_anything_else_is_refused_in_a_few_words(text: str) -> None:
    flaw = flaw_of_json(text)
    assert flaw is not None
    assert flaw.startswith("must ")
    assert len(flaw) < 100


@pytest.mark.parametrize("text", ["0", '"{}"', "[]", "[{}]", "null", " [ ] "])
def test_where_an_object_is_asked_for_nothing_else_will_do(text: str) -> None:
    assert flaw_of_json(text) is None
    assert flaw_of_json(text, is_object=True) == "must be one JSON object"
    assert flaw_of_json('\t{"a": []}\n', is_object=True) is None


_TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text('[]{}"\\,:')
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4),
    max_leaves=20,
)


def depth_of(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(_VALUES, st.integers(0, 70), st.booleans())
def test_values_are_taken_down_to_64_levels(value: object, wraps: int, ascii_only: bool) -> None:
    for _ in range(wraps):
        value = [value, {"]": "["}]
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert (flaw_of_json(text) is None) == (depth_of(value) <= 64)
    assert (flaw_of_json(text, is_object=True) is None) == (depth_of(value) <= 64 and isinstance(value, dict))


@given(st.text() | st.text('[]{}",:1\\u ') | st.binary().map(lambda data: data.decode(errors="surrogateescape")))
def test_no_text_is_taken_that_another_reader_refuses(text: str) -> None:
    if flaw_of_json(text) is None:
        json.dumps(json.loads(text), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("piece", ["[],", '{"k":1},', '"[",', '"\\"[",', "1,", '"k",'])
def test_the_largest_request_is_looked_at_quickly(piece: str) -> None:
    text = "[" * 63 + "[" + piece * (7 * MEBIBYTE // len(piece)) + "[]]" + "]" * 63
    began = time.perf_counter()
    flaw_of_json(text)
    assert time.perf_counter() - began < 1.0
