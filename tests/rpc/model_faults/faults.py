"""The faults: what the model does instead of answering, how often, and what must come of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from devtools.scripted_model import (
    Reply,
    call,
    fault,
    in_band_error,
    page,
    pause,
    raw_stream,
    refusal,
    reply,
    text,
    tool_calls,
)
from devtools.scripted_model.script import Call, Part

GOES_ON = "goes on"
"""The turn does not notice, or what came is an answer."""
AWAY, BAD, TOO_LONG, FILTERED = "LLM_UNAVAILABLE", "LLM_BAD_RESPONSE", "CONTEXT_FULL", "CONTENT_FILTERED"

_LATER = 3600.0  # seconds; longer than any limit
_SOON = 450  # bytes; after the first piece of any answer and before its end
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Fault:
    """`broken` makes of a good answer's parts what comes instead, `times` times; after that the model is well.

    `ends` is the reason of the failed turn, or GOES_ON.
    """

    name: str
    ends: str
    broken: Callable[[Part], Reply]
    times: int = 1
    resumable: bool = True


def _status(status: int, *, code: str | None = None, retry_after: str | None = None) -> Callable[[Part], Reply]:
    return lambda _: refusal(status, code=code, retry_after=retry_after)


WHOLE = json.dumps({"choices": [{"message": {"role": "assistant", "content": "All."}, "finish_reason": "stop"}]})

FAULTS = (
    Fault("no headers", AWAY, lambda part: reply(part, first_delay=_LATER), _ATTEMPTS),
    Fault("headers, then silence", AWAY, lambda part: reply(part, fault=fault.stall_after(0)), _ATTEMPTS),
    Fault("nothing but comments", AWAY, lambda part: reply(pause(_LATER, ping_every=0.05), part), _ATTEMPTS),
    Fault("silence in mid-answer", AWAY, lambda part: reply(part, fault=fault.stall_after(_SOON))),
    Fault("comments in mid-answer", AWAY, lambda part: reply(part, pause(_LATER, ping_every=0.05))),
    Fault("words without end", AWAY, lambda part: reply(part, text("more " * 200, chunk_delay=0.05))),
    Fault("429", AWAY, _status(429), _ATTEMPTS),
    Fault("429 once, with Retry-After", GOES_ON, _status(429, retry_after="0")),
    Fault("500", AWAY, _status(500), _ATTEMPTS),
    Fault("502 and a page", AWAY, lambda _: page("<html>bad gateway", status=502), _ATTEMPTS),
    Fault("503 twice", GOES_ON, _status(503), _ATTEMPTS - 1),
    Fault("504", AWAY, _status(504), _ATTEMPTS),
    Fault("529", AWAY, _status(529, retry_after="0"), _ATTEMPTS),
    Fault("302", AWAY, _status(302), resumable=False),
    Fault("400", BAD, _status(400), resumable=False),
    Fault("400, too long", TOO_LONG, _status(400, code="context_length_exceeded"), resumable=False),
    Fault("401", AWAY, _status(401), resumable=False),
    Fault("404", AWAY, _status(404), resumable=False),
    Fault("reset at once", AWAY, lambda part: reply(part, fault=fault.reset_after(0)), _ATTEMPTS),
    Fault("reset in mid-answer", AWAY, lambda part: reply(part, fault=fault.reset_after(_SOON))),
    Fault("cut in mid-answer", AWAY, lambda part: reply(part, fault=fault.cut_after(_SOON))),
    Fault("end in mid-answer", AWAY, lambda part: reply(part, fault=fault.end_after(_SOON))),
    Fault("no body", AWAY, lambda _: raw_stream()),
    Fault("garbage at once", AWAY, lambda part: reply(part, fault=fault.garbage_after(0))),
    Fault("garbage in mid-answer", BAD, lambda part: reply(part, fault=fault.garbage_after(_SOON))),
    Fault("error in the stream", AWAY, lambda _: reply(in_band_error("boom", code=503)), _ATTEMPTS),
    Fault("error in mid-answer", AWAY, lambda part: reply(part, in_band_error("boom"))),
    Fault("page with status 200", BAD, lambda _: page("<html>bad gateway")),
    Fault("line of 5 MB", BAD, lambda _: raw_stream(b"data: " + b"x" * 5_000_000 + b"\n\n"), resumable=False),
    Fault("33 calls", BAD, lambda _: reply(tool_calls(*_calls(33))), resumable=False),
    Fault("no words", BAD, lambda _: reply()),
    Fault("content filter", FILTERED, lambda part: reply(part, finish_reason="content_filter"), resumable=False),
    Fault("no stream", GOES_ON, lambda _: page(WHOLE, content_type="application/json")),
    Fault("no finish reason", GOES_ON, lambda part: reply(part, finish_reason=None)),
)


def _calls(count: int) -> list[Call]:
    return [call("read_file", {"path": "a.md"}, id=f"c{n}") for n in range(count)]
