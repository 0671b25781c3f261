"""Which correlation ids and traces of strangers are taken over."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.telemetry.correlation import correlation_id_from, traceparent_from

MADE_HERE = re.compile(r"[0-9a-f]{32}")
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("good", ["a", "A-b_c.9", "x" * 64])
def test_a_harmless_id_is_kept(good: str) -> None:
    assert correlation_id_from([("x-correlation-id", good), ("x-other", "y")]) == good


@pytest.mark.parametrize("bad", ["", "x" * 65, "a b", "a\n", "a\r\nb", "\x1b[31m", "a\x00", "ä", "a/b", "{}"])
def test_any_other_id_is_replaced(bad: str) -> None:
    assert MADE_HERE.fullmatch(correlation_id_from([("x-correlation-id", bad)]))


def test_none_two_and_binary_ids_are_replaced() -> None:
    for metadata in (
        [],
        [("x-correlation-id", "a")] * 2,
        [("x-correlation-id-bin", b"a")],
        [("x-correlation-id", b"a")],
    ):
        assert MADE_HERE.fullmatch(correlation_id_from(metadata))


@given(st.text())
def test_whatever_comes_the_id_is_harmless(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", correlation_id_from([("x-correlation-id", text)]))


def test_traces_follow_the_format_to_the_letter() -> None:
    assert traceparent_from([("traceparent", TRACE)]) == TRACE
    refused = [
        TRACE.upper(),
        TRACE + "\n",
        TRACE + "-extra",
        TRACE.replace("00-4", "01-4"),
        TRACE.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32),
        TRACE.replace("00f067aa0ba902b7", "0" * 16),
        "",
    ]
    assert [traceparent_from([("traceparent", text)]) for text in refused] == [None] * len(refused)
    assert traceparent_from([("traceparent", TRACE)] * 2) is None
