"""The decoder gives the same events however the bytes are cut, and stays within its limits."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.infrastructure.llm.failures import FailureKind, UpstreamError
from services.infrastructure.llm.sse import MAX_EVENTS, ServerEvent, SseDecoder


def decode(*chunks: bytes) -> list[ServerEvent]:
    decoder = SseDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    tail = decoder.finish()
    return events if tail is None else [*events, tail]


def data(*chunks: bytes) -> list[bytes]:
    return [event.data for event in decode(*chunks)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"data: 1\n\ndata: 2\n\n", [b"1", b"2"]),
        (b"data: 1\r\n\r\ndata: 2\r\n\r\n", [b"1", b"2"]),
        (b"data: 1\r\rdata: 2\r\r", [b"1", b"2"]),
        (b"data: 1\r\n\ndata: 2\r\r\n", [b"1", b"2"]),
        (b"\xef\xbb\xbfdata: 1\n\n", [b"1"]),
        (b":\n\n: ping\n\ndata: 1\n\n", [b"1"]),
        (b"data:\n\ndata: 1\n\ndata\n\n", [b"1"]),
        (b'data:{"a":1}\n\ndata:   {"b":2}\n\n', [b'{"a":1}', b'  {"b":2}']),
        (b"data: one\ndata: two\n\n", [b"one\ntwo"]),
        (b"id: 7\nretry: 10\nevent: message\nwhatever: x\nnonsense\ndata: 1\n\n", [b"1"]),
        ("data: a\u2028b\u2029c\x85d\x0be\n\n".encode(), ["a\u2028b\u2029c\x85d\x0be".encode()]),
        (b"data: 1\n\ndata: [DONE]", [b"1", b"[DONE]"]),
        (b"data: 1\n\ndata: [DONE]\n", [b"1", b"[DONE]"]),
        (b"", []),
    ],
)
def test_decodes_whole_and_cut_at_every_byte(body: bytes, expected: list[bytes]) -> None:
    assert data(body) == expected
    for cut in range(1, len(body)):
        assert data(body[:cut], body[cut:]) == expected
    assert data(*(body[n : n + 1] for n in range(len(body)))) == expected


def test_errors_are_named() -> None:
    assert decode(b'event: error\ndata: {"x":1}\n\ndata: 2\n\n') == [
        ServerEvent(b"error", b'{"x":1}'),
        ServerEvent(b"", b"2"),
    ]
    assert decode(b'error: {"code":500}\n\n') == [ServerEvent(b"error", b'{"code":500}')]


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=8),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
    st.data(),
)
def test_any_events_in_any_chunks(texts: list[str], end: bytes, draw: st.DataObject) -> None:
    body = b"".join(b"data: " + text.encode() + end + end for text in texts)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert data(*chunks) == [text.encode() for text in texts]


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_noise_never_raises(chunks: list[bytes]) -> None:
    decode(*chunks)


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 1024] + [b"x" * 65536] * 65,
        [b"data: " + b"x" * (5 * 1024 * 1024) + b"\n"],
        [b"data: " + b"x" * 1024 * 1024 + b"\n"] * 5,
        [b": comment\n" * 100_000] * 20,
        [b"data: 1\n\n" * (MAX_EVENTS + 1)],
    ],
    ids=["endless line", "long line", "long event", "long stream", "many events"],
)
def test_limits(chunks: list[bytes]) -> None:
    with pytest.raises(UpstreamError) as refused:
        decode(*chunks)
    assert refused.value.kind is FailureKind.TOO_LARGE
    assert not refused.value.retryable


def test_time_is_linear_in_the_bytes() -> None:
    body = (b"data: " + b"x" * 3_900_000 + b"\n\n") * 2 + b"data: 1\n\n" * 90_000
    chunks = [body[n : n + 1024] for n in range(0, len(body), 1024)]
    begin = time.process_time()
    assert len(data(*chunks)) == 90_002
    assert time.process_time() - begin < 1.5
