"""JSON from a provider is decoded strictly, within limits, into text that can be stored."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.infrastructure.llm.bounded_json import canonical_json, clean_text, decode_json
from services.infrastructure.llm.failures import UpstreamError


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{oops",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e400}',
        b'{"a":' + b"9" * 5000 + b"}",
        b"[" * 200_000,
        b'{"a":' * 200_000,
        b"[" * 65 + b"]" * 65,
        b'{"a":"\xff"}',
        b"[1] [2]",
        b"\\ud800",
    ],
)
def test_refuses(bad: bytes) -> None:
    with pytest.raises(UpstreamError) as refused:
        decode_json(bad)
    assert "oops" not in refused.value.message


def test_depth_64_is_fine_and_breadth_does_not_matter() -> None:
    decode_json(b"[" * 64 + b"1" + b"]" * 64)
    decode_json(b"[" + b"{}," * 1000 + b"{}]")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (rb'"\ud83c\udf0d"', "🌍"),
        (rb'"\ud83c"', "\ufffd"),
        (rb'"\udf0d\ud83c"', "\ufffd\ufffd"),
        (rb'"\ud83c\ud83c\udf0d!"', "\ufffd🌍!"),
        (rb'"\\ud83c \ud83c \u0041"', "\\ud83c \ufffd A"),
        (rb'"\\\ud83c"', "\\\ufffd"),
    ],
)
def test_lone_surrogates_become_replacement_characters(written: bytes, read: str) -> None:
    assert decode_json(written) == read


@given(st.text(st.characters()))
def test_any_text_survives_escaped_except_lone_surrogates(text: str) -> None:
    read = decode_json(json.dumps(text).encode())
    assert isinstance(read, str)
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read.replace("\ufffd", "") == paired.replace("\ufffd", "")
    clean_text(read).encode()
    assert "\x00" not in clean_text(read)


def test_clean_text_keeps_what_can_be_stored() -> None:
    assert clean_text("a\x00b\ud800c🌍\n") == "a\ufffdb\ufffdc🌍\n"


def test_canonical_json_sorts_keys() -> None:
    assert canonical_json({"b": [1, None], "a": "ü"}) == '{"a":"ü","b":[1,null]}'
