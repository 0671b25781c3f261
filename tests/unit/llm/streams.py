"""Streams of providers drawn at random, cut and damaged at random, and what is read from them."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise

from services.infrastructure.llm.failures import UpstreamError
from tests.unit.llm.wire import DONE, call, delta, event, finish, parse, text

_WORDS = ("a", "grüß ", "🌍", "\n", "\u2028", "\x85", "data: x\n\n", '"', "\\", "\x00", "", "\ufeff", "[DONE]")
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


def damaged(rng: random.Random, body: bytes) -> bytes:
    """The stream with a few of its bytes changed."""
    changed = bytearray(body)
    for _ in range(rng.randrange(1, 9)):
        changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
    return bytes(changed)
