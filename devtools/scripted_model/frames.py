"""Turns a reply into the bytes to send, once per reply and not per request: the model must not be the bottleneck."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from devtools.scripted_model.script import Gate, Pause, Raw, Reasoning, Reply, Text, ToolCalls, Usage

MODEL = "scripted"
_ID = "chatcmpl-scripted"
_WORD = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes to write `delay` seconds after the previous ones, with pings meanwhile; a `gate` is waited for first."""

    data: bytes
    delay: float = 0.0
    gate: str | None = None
    ping_every: float = 0.0


@dataclass(frozen=True, slots=True)
class Compiled:
    """A reply ready to be sent: the frames up to the finish reason, and the message for a request without streaming."""

    frames: tuple[Frame, ...]
    message: dict[str, object]
    finish_reason: str | None
    completion_tokens: int


def compile_reply(reply: Reply) -> Compiled:
    """The frames of a reply. Tokens are counted as one per chunk."""
    frames: list[Frame] = []
    words: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, object]] = []
    tokens = 0
    for part in reply.parts:
        match part:
            case Text() | Reasoning():
                key, kept = ("content", words) if isinstance(part, Text) else ("reasoning_content", thoughts)
                for piece in _pieces(part.text, part.chunk_characters):
                    frames.append(Frame(_delta({key: piece}), part.chunk_delay))
                    tokens += 1
                kept.append(part.text)
            case ToolCalls():
                deltas = _call_deltas(part, first_index=len(calls))
                frames += [Frame(_delta({"tool_calls": [delta]}), part.chunk_delay) for delta in deltas]
                tokens += len(deltas)
                calls += [
                    {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
                    for c in part.calls
                ]
            case Pause():
                frames.append(Frame(b"", part.seconds, ping_every=part.ping_every))
            case Gate():
                frames.append(Frame(b"", gate=part.name))
            case Raw():
                frames.append(Frame(part.data))
    finish = reply.finish_reason
    if finish == "auto":
        finish = "tool_calls" if calls else "stop"
    if finish is not None:
        frames.append(Frame(_chunk([{"index": 0, "delta": {}, "finish_reason": finish}])))
    message: dict[str, object] = {"role": "assistant", "content": "".join(words) or None}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    return Compiled(tuple(frames), message, finish, tokens)


def usage_frame(usage: Usage) -> bytes:
    """The chunk that reports usage after the finish reason."""
    return _chunk([], usage=_usage(usage))


def whole_completion(compiled: Compiled, usage: Usage) -> bytes:
    """The body for a request that does not stream."""
    choice = {"index": 0, "message": compiled.message, "finish_reason": compiled.finish_reason}
    body = {"id": _ID, "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice]}
    return json.dumps(body | {"usage": _usage(usage)}).encode()


DONE_FRAME = b"data: [DONE]\n\n"


def _chunk(choices: list[dict[str, object]], **more: object) -> bytes:
    chunk = {"id": _ID, "object": "chat.completion.chunk", "created": 0, "model": MODEL, "choices": choices, **more}
    return f"data: {json.dumps(chunk, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


def _delta(delta: dict[str, object]) -> bytes:
    return _chunk([{"index": 0, "delta": delta, "finish_reason": None}])


def _usage(usage: Usage) -> dict[str, object]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _pieces(text: str, characters: int) -> list[str]:
    if not characters:
        return _WORD.findall(text)
    return [text[i : i + characters] for i in range(0, len(text), characters)]


def _call_deltas(part: ToolCalls, first_index: int) -> list[dict[str, object]]:
    """Each call's first delta has id and name; then the arguments of all calls take turns."""
    deltas: list[dict[str, object]] = [
        {
            "index": first_index + n,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        for n, call in enumerate(part.calls)
    ]
    waiting = [(first_index + n, _pieces(call.arguments, part.chunk_characters)) for n, call in enumerate(part.calls)]
    for turn in range(max((len(pieces) for _, pieces in waiting), default=0)):
        deltas += [
            {"index": index, "function": {"arguments": pieces[turn]}} for index, pieces in waiting if turn < len(pieces)
        ]
    return deltas
