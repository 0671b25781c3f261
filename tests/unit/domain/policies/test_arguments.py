"""Arguments are read strictly, and their hash tells apart whatever could run differently."""

from __future__ import annotations

import contextlib
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.policies.arguments import ArgumentsError, arguments_hash, canonical_json, parse_arguments


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("{", "not valid JSON"),
        ("{}{}", "not valid JSON"),
        ("{} x", "not valid JSON"),
        ("{'a': 1}", "not valid JSON"),
        ('{"a": 1,}', "not valid JSON"),
        ('{"a": 01}', "not valid JSON"),
        ('{"a": "\n"}', "not valid JSON"),
        ('```json\n{"a": 1}\n```', "not valid JSON"),
        ("\ufeff{}", "not valid JSON"),
        ("[]", "one JSON object"),
        ("null", "one JSON object"),
        ('"{}"', "one JSON object"),
        ("1", "one JSON object"),
        ('{"a": NaN}', "NaN"),
        ('{"a": Infinity}', "Infinity"),
        ('{"a": [-Infinity]}', "-Infinity"),
        ('{"a": 1e400}', "out of range"),
        ('{"a": ' + "9" * 4301 + "}", "4300 digits"),
        ('{"a": 1, "a": 1}', "'a' is given twice"),
        ('{"b": {"a": 1, "c": 2, "a": 3}}', "'a' is given twice"),
        ('{"a": 1, "\\u0061": 2}', "'a' is given twice"),
        ('{"\\n\\u202e": 1, "\\n\\u202e": 2}', r"'\n\u202e' is given twice"),
        ('{"a": "\\ud800"}', "surrogate"),
        ('{"\\udfff": 1}', "surrogate"),
        ('{"a": ["\ud800"]}', "surrogate"),
        ('{"a":' * 65 + "1" + "}" * 65, "64 levels"),
        ('{"a":' * 64 + "[]" + "}" * 64, "64 levels"),
        ('{"a":' * 150_000, "64 levels"),
        ('{"a":' + "[" * 1_000_000, "64 levels"),
    ],
)
def test_refuses_and_says_why(text: str, says: str) -> None:
    with pytest.raises(ArgumentsError) as refused:
        parse_arguments(text)
    assert says in str(refused.value)
    assert len(str(refused.value)) < 200
    assert str(refused.value).isprintable()


def test_what_is_good_comes_back_as_it_is() -> None:
    text = '{"path": "a\\u0000\\n\\ud83d\\ude00", "n": [0, -1.5, 12345678901234567890, true, null, {}], "e": ""}'
    assert parse_arguments(text) == {
        "path": "a\0\n\U0001f600",
        "n": [0, -1.5, 12345678901234567890, True, None, {}],
        "e": "",
    }
    assert parse_arguments(" {}\n") == {}


def test_the_limits_themselves_are_fine() -> None:
    parse_arguments('{"a":' * 64 + "1" + "}" * 64)
    parse_arguments('{"a":' * 64 + '"text"' + "}" * 64)
    parse_arguments('{"a": ' + "9" * 4300 + "}")
    parse_arguments('{"a": -' + "9" * 4300 + "}")
    parse_arguments('{"a": [' + "{}," * 1000 + "{}]}")


def test_size_counts_bytes_not_characters() -> None:
    text = '{"a": "я"}'
    assert parse_arguments(text, max_bytes=11) == {"a": "я"}
    with pytest.raises(ArgumentsError, match="longer than 10 bytes"):
        parse_arguments(text, max_bytes=10)
    with pytest.raises(ArgumentsError, match="longer"):
        parse_arguments('{"a": "' + "x" * 1024 * 1024 + '"}')


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=15
)
_OBJECTS = st.dictionaries(st.text(), _VALUES, max_size=5)


@given(_OBJECTS)
def test_canonical_text_reads_back_as_the_same_value(value: dict[str, object]) -> None:
    text = canonical_json(value)
    assert parse_arguments(text) == value
    assert canonical_json(parse_arguments(text)) == text


@given(_OBJECTS, st.randoms())
def test_neither_order_nor_layout_changes_the_canonical_text(value: dict[str, object], random: object) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)
    assert canonical_json(parse_arguments(json.dumps(value, indent=3))) == canonical_json(value)


@given(st.text() | st.binary().map(lambda data: data.decode(errors="surrogateescape")))
def test_any_text_is_an_object_or_an_arguments_error(text: str) -> None:
    with contextlib.suppress(ArgumentsError):
        canonical_json(parse_arguments(text)).encode()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", {"a": ["\udfff"]}])
def test_there_is_no_canonical_text_for_what_is_not_json(value: object) -> None:
    with pytest.raises(ValueError, match=r"JSON|characters"):
        canonical_json(value)


def test_canonical_text_is_short_and_readable() -> None:
    assert canonical_json({"b": [1, 1.5, 10**30], "a": "я\n"}) == (
        '{"a":"я\\n","b":[1,1.5,1000000000000000000000000000000]}'
    )


def test_the_hash_is_sha_256_of_canonical_json() -> None:
    expected = '{"arguments":{"path":"a"},"call_id":"c","policy_version":"1","session_id":"s","tool":"read_file"}'
    assert arguments_hash("read_file", {"path": "a"}, "s", "c", "1") == hashlib.sha256(expected.encode()).hexdigest()


def test_whatever_differs_changes_the_hash() -> None:
    variants = [
        arguments_hash(tool, arguments, session, call, version)
        for tool in ("t", "u")
        for arguments in ({}, {"a": 1}, {"a": "1"}, {"a": True}, {"a": None}, {"a": [1]}, {"b": 1}, {"a": 1, "b": 1})
        for session in ("s", "t")
        for call in ("c", "d")
        for version in ("1", "2")
    ]
    assert len(set(variants)) == len(variants)
