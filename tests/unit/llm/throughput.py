"""How fast and how evenly an answer is read, from bytes to fragments: for the bench and for the tests."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from services.infrastructure.llm.assembly import AnswerAssembler
from services.infrastructure.llm.sse import SseDecoder
from tests.unit.llm.wire import DONE, finish

CHUNK = 1024


def long_answer(megabytes: float) -> bytes:
    """A stream as providers send it: a few words an event, and several times as much around them."""
    chunk = {
        "id": "chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz012",
        "object": "chat.completion.chunk",
        "created": 1767225600,
        "model": "some-model-2026-01-01",
        "system_fingerprint": "fp_0123456789",
        "choices": [{"index": 0, "delta": {"content": " a few words"}, "logprobs": None, "finish_reason": None}],
    }
    event = b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"
    return event * int(megabytes * 1e6 / len(event)) + finish() + DONE


def read(body: bytes) -> None:
    """Reads a stream in pieces of 1 KiB, as the client does."""
    decoder = SseDecoder()
    assembler = AnswerAssembler(model="m", call_id_prefix="c")
    for start in range(0, len(body), CHUNK):
        for event in decoder.feed(body[start : start + CHUNK]):
            assembler.feed(event)
    assembler.answer()


def decoder_throughput(megabytes: float = 10.0) -> float:
    """Megabytes a second that one core decodes and assembles, by its own time: the best of three."""
    body = long_answer(megabytes)
    times = []
    for _ in range(3):
        begin = time.process_time()
        read(body)
        times.append(time.process_time() - begin)
    return len(body) / 1e6 / min(times)


def lines_run(work: Callable[[], object]) -> int:
    """How many lines of Python the work runs through: unlike time, the same on every machine and at every load."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return lines
