"""Short words for scripts in Python, so that a test reads as what the model says."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

from devtools.scripted_model.script import (
    Call,
    Fault,
    Gate,
    Part,
    Pause,
    Raw,
    Reasoning,
    Reply,
    Text,
    ToolCalls,
    Usage,
    When,
)


def text(content: str, *, chunk_characters: int = 0, chunk_delay: float = 0.0) -> Text:
    """Words of the answer; one chunk a word unless said otherwise, `chunk_delay` seconds before each."""
    return Text(text=content, chunk_characters=chunk_characters, chunk_delay=chunk_delay)


def reasoning(content: str, *, chunk_characters: int = 0, chunk_delay: float = 0.0) -> Reasoning:
    """What the model thinks aloud."""
    return Reasoning(text=content, chunk_characters=chunk_characters, chunk_delay=chunk_delay)


def call(name: str, arguments: Mapping[str, object] | str, *, id: str | None = None) -> Call:
    """One tool call; text as arguments is used to the letter. The default id, `call_<name>`, is good once a session."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return Call(id=id if id is not None else f"call_{name}", name=name, arguments=written)


def tool_calls(*calls: Call, chunk_characters: int = 12, chunk_delay: float = 0.0) -> ToolCalls:
    """Parallel calls whose fragments take turns."""
    return ToolCalls(calls=calls, chunk_characters=chunk_characters, chunk_delay=chunk_delay)


def pause(seconds: float, *, ping_every: float = 0.0) -> Pause:
    """Silence, or nothing but comments."""
    return Pause(seconds=seconds, ping_every=ping_every)


def gate(name: str) -> Gate:
    """A stop until the test releases it."""
    return Gate(name=name)


def raw(data: bytes) -> Raw:
    """Bytes of the body as they are."""
    return Raw(base64=base64.b64encode(data).decode())


def reply(
    *parts: Part,
    when: When | None = None,
    times: int = 1,
    repeat: bool = False,
    first_delay: float = 0.0,
    finish_reason: str | None = "auto",
    done: bool = True,
    usage: Usage | None = None,
    send_usage: bool = True,
    fault: Fault | None = None,
) -> Reply:
    """A streamed answer; see Reply."""
    return Reply(
        parts=parts,
        when=when or When(),
        times=times,
        repeat=repeat,
        first_delay=first_delay,
        finish_reason=finish_reason,
        done=done,
        usage=usage,
        send_usage=send_usage,
        fault=fault,
    )


def raw_stream(*pieces: bytes, when: When | None = None, fault: Fault | None = None) -> Reply:
    """An event stream of exactly these bytes, each piece written on its own."""
    return Reply(
        parts=tuple(raw(piece) for piece in pieces),
        when=when or When(),
        finish_reason=None,
        done=False,
        send_usage=False,
        fault=fault,
    )


def refusal(
    status: int,
    *,
    code: str | None = None,
    retry_after: str | None = None,
    when: When | None = None,
    times: int = 1,
    repeat: bool = False,
) -> Reply:
    """An HTTP error with a body in OpenAI's shape."""
    body = {"error": {"message": f"scripted status {status}", "type": "scripted_error", "param": None, "code": code}}
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Reply(status=status, headers=headers, body=json.dumps(body), when=when or When(), times=times, repeat=repeat)


def page(html: str, *, status: int = 200, content_type: str = "text/html") -> Reply:
    """Some other body, as proxies send them."""
    return Reply(status=status, body=html, content_type=content_type)


def in_band_error(message: str, *, code: str | int | None = None) -> Raw:
    """An error inside a stream that began as a success."""
    return raw(b"data: " + json.dumps({"error": {"message": message, "code": code}}).encode() + b"\n\n")
