"""Any stream, cut anywhere, means the same; damaged anywhere, it raises nothing unexpected and invents nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.model_exchange import ModelAnswer, ToolCallFragment
from services.infrastructure.llm.failures import UpstreamError
from tests.unit.llm.throughput import decoder_throughput, lines_run, long_answer, read
from tests.unit.llm.wire import DONE, call, delta, event, finish, parse, text

# Examples are drawn from a seed: many times faster than by a strategy, and as easy to repeat.
seeds = st.integers(0, 2**64 - 1)
_WORDS = ("a", "grüß ", "🌍", "\n", "\u2028", "\x85", "data: x\n\n", '"', "\\", "\x00", "", "\ufeff", "[DONE]")
_PIECES = (b"data: ", b"\n\n", b"{", b"}", b'"choices":[', b"]", b'{"delta":', b'"content":', b'"tool_calls":', b"1")
_NOISE = (b": ping\n\n", b":\n\n", b"data:\n\n", b"id: 7\n", b"retry: 1\n\n", b"event: message\n", b"\n", b"odd\n")


def any_stream(rng: random.Random, *, with_calls: bool = True) -> bytes:
    """A valid stream with what providers put between the events, and line ends of one of the three kinds."""
    parts = [b"\xef\xbb\xbf"] if rng.random() < 0.2 else []
    for _ in range(rng.randrange(12)):
        words = "".join(rng.choices(_WORDS, k=rng.randrange(4)))
        kinds: list[Callable[[], bytes]] = [
            partial(text, words),
            partial(delta, {"reasoning_content": words}),
            partial(delta, {"role": "assistant", "content": None}),
            partial(event, {"choices": [], "usage": {"prompt_tokens": rng.randrange(9)}}),
            lambda: rng.choice(_NOISE),
        ]
        if with_calls:
            kinds.append(partial(call, rng.randrange(3), rng.choice([None, "x", "y"]), "f", rng.choice(["{", "}", ""])))
        parts.append(rng.choice(kinds)())
    parts += [text("so"), finish(rng.choice(["stop", "tool_calls", "length"])), DONE]
    return b"".join(parts).replace(b"\n", rng.choice([b"\n", b"\r\n", b"\r"]))


def outcome(chunks: list[bytes]) -> object:
    try:
        return parse(chunks)
    except UpstreamError as error:
        return error.kind, error.message


def cut(body: bytes, places: list[int]) -> list[bytes]:
    return [body[a:b] for a, b in pairwise([0, *sorted(places), len(body)])]


@given(seeds)
@settings(max_examples=5000, deadline=None)
def test_chunks_do_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    body = any_stream(rng)
    places = [rng.randrange(len(body) + 1) for _ in range(rng.randrange(1, 30))]
    assert outcome(cut(body, places)) == outcome([body])


@given(seeds)
@settings(max_examples=5000, deadline=None)
def test_flipped_bytes_raise_nothing_else_and_invent_no_call(seed: int) -> None:
    rng = random.Random(seed)
    body = bytearray(any_stream(rng, with_calls=False))
    for _ in range(rng.randrange(1, 9)):
        body[rng.randrange(len(body))] ^= rng.randrange(1, 256)
    try:
        fragments, answer = parse(cut(bytes(body), [rng.randrange(len(body))]))
    except UpstreamError:
        return
    assert isinstance(answer, ModelAnswer)
    assert answer.tool_calls == ()
    told = [fragment.text for fragment in fragments if not isinstance(fragment, ToolCallFragment)]
    assert len(told) == len(fragments)
    for said in (answer.text, answer.reasoning, answer.model, *told):
        assert "\x00" not in said
        said.encode()


@given(seeds)
@settings(max_examples=500, deadline=None)
def test_noise_raises_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    pieces = [
        b"data: ",
        b"\n\n",
        b"{",
        b"}",
        b'"choices":[',
        b"]",
        b'{"delta":',
        b'"content":',
        b'"tool_calls":',
        b"null",
    ]
    outcome([rng.choice(pieces) if rng.random() < 0.8 else rng.randbytes(4) for _ in range(rng.randrange(200))])


@pytest.mark.parametrize(
    "stream",
    [
        lambda n: long_answer(n * 0.05),
        lambda n: text("x" * (n * 60_000)) + finish(),
        lambda n: b"data: \n" * (n * 500) + b"\n" + text("x") + finish(),
        lambda n: call(0, "a", "f", "{") + call(0, "a", "f", "x") * (n * 200) + finish(),
        lambda n: call(0, None, "f", "{") + call(None, None, None, "x") * (n * 200) + finish(),
        lambda n: text("x") + b": ping\r\n\r\n" * (n * 500) + finish(),
        lambda n: b'data: {"y":[' + b'[[[["\\ud800"]]]],' * (n * 500) + b"0]}\n\n" + text("x") + finish(),
    ],
    ids=["many events", "long event", "long event in lines", "long call", "call without index", "comments", "nesting"],
)
def test_work_grows_with_the_bytes_and_not_faster(stream: Callable[[int], bytes]) -> None:
    small, large = (lines_run(partial(read_any, stream(size))) for size in (2, 8))
    assert large < 4 * small * 1.2 + 500


def read_any(body: bytes) -> None:
    try:
        read(body)
    except UpstreamError:
        return


def test_ten_megabytes_a_second() -> None:
    assert decoder_throughput(2.0) >= 10
