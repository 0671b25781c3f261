"""Any stream, cut anywhere, means the same; damaged anywhere, it raises nothing unexpected and invents nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.domain.model_exchange import ModelAnswer, ToolCallFragment
from services.infrastructure.llm.failures import UpstreamError
from tests.unit.llm.streams import any_stream, cut, damaged, outcome
from tests.unit.llm.throughput import decoder_throughput, lines_run, long_answer, read
from tests.unit.llm.wire import call, finish, parse, text

# Examples are drawn from a seed: many times faster than by a strategy, and as easy to repeat.
seeds = st.integers(0, 2**64 - 1)


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
    body = damaged(rng, any_stream(rng, with_calls=False))
    try:
        fragments, answer = parse(cut(body, [rng.randrange(len(body))]))
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
