"""What the scripted model can be told to say: the script format, read from and written to JSON by msgspec."""

from __future__ import annotations

import base64
from typing import Literal

import msgspec


class _Element(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Unknown fields are refused everywhere, so that a typo in a script does not become a surprise in a test."""


class Text(_Element, frozen=True, tag_field="kind", tag="text"):
    """The next words of the answer, in chunks of `chunk_characters` (0: one chunk a word)."""

    text: str
    chunk_characters: int = 0
    chunk_delay: float = 0.0


class Reasoning(_Element, frozen=True, tag_field="kind", tag="reasoning"):
    """Like Text, as `reasoning_content`."""

    text: str
    chunk_characters: int = 0
    chunk_delay: float = 0.0


class Call(_Element, frozen=True):
    """One tool call; `arguments` is the exact text the model writes, which need not be JSON."""

    id: str
    name: str
    arguments: str


class ToolCalls(_Element, frozen=True, tag_field="kind", tag="tool_calls"):
    """Parallel tool calls, their arguments in fragments of `chunk_characters`, taking turns."""

    calls: tuple[Call, ...]
    chunk_characters: int = 12
    chunk_delay: float = 0.0


class Pause(_Element, frozen=True, tag_field="kind", tag="pause"):
    """Silence for some seconds; with `ping_every`, only comments in the meantime."""

    seconds: float
    ping_every: float = 0.0


class Gate(_Element, frozen=True, tag_field="kind", tag="gate"):
    """Holds the answer here until the gate of this name is released."""

    name: str


class Raw(_Element, frozen=True, tag_field="kind", tag="raw"):
    """Bytes (base64) written to the body as they are, in one piece."""

    base64: str

    @property
    def data(self) -> bytes:
        """The bytes."""
        return base64.b64decode(self.base64)


Part = Text | Reasoning | ToolCalls | Pause | Gate | Raw


class Fault(_Element, frozen=True):
    """What happens once `at_byte` bytes of the body are out.

    reset: the connection is reset. cut: it is closed in the middle of the body. end: the body ends as if complete.
    stall: nothing more, until the client leaves. garbage: random-looking bytes, then the body ends.
    """

    kind: Literal["reset", "cut", "end", "stall", "garbage"]
    at_byte: int = 0


class When(_Element, frozen=True):
    """Which requests a reply is for: all conditions given must hold."""

    last_user_contains: str | None = None
    last_user_matches: str | None = None
    last_role: str | None = None
    system_contains: str | None = None
    has_tools: bool | None = None
    longer_than: int | None = None  # characters of all messages
    model: str | None = None


class Usage(_Element, frozen=True):
    """Token counts to report instead of counted ones."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    reasoning_tokens: int = 0


class Reply(_Element, frozen=True):
    """One answer. The first reply of the script that fits a request and is not used up is played.

    `times` is how often it may be used; `repeat` lifts that. `finish_reason` is "auto" (stop, or tool_calls if there
    are any) unless given; null leaves it out, as `done: false` leaves out the final `[DONE]`. Usage is counted unless
    given, and sent only if the request asks for it; `send_usage: false` never. A `status` other than 200, or a
    `body`, is sent as it is, without streaming.
    """

    when: When = When()
    times: int = 1
    repeat: bool = False
    parts: tuple[Part, ...] = ()
    first_delay: float = 0.0
    finish_reason: str | None = "auto"
    done: bool = True
    usage: Usage | None = None
    send_usage: bool = True
    fault: Fault | None = None
    status: int = 200
    headers: dict[str, str] = {}
    body: str | None = None
    content_type: str | None = None


class Script(_Element, frozen=True):
    """Replies in order of preference."""

    replies: tuple[Reply, ...] = ()


def parse_script(data: bytes | str) -> Script:
    """The script in a JSON text; raises msgspec.ValidationError, which says where it is wrong."""
    return msgspec.json.decode(data, type=Script)


def script_json(script: Script) -> bytes:
    """The JSON text of a script."""
    return msgspec.json.encode(script)
