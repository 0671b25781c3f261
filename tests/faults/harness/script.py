"""What the model of the fault tests says: five kinds of turns, told apart by a word in the user's message."""

from __future__ import annotations

import json
from enum import StrEnum

from devtools.scripted_model import Reply, When, call, reply, text, tool_calls


class Kind(StrEnum):
    """What a turn needs until it is over."""

    TEXT = "text"
    TOOL = "tool"
    PARALLEL = "parallel"
    APPROVAL = "approval"
    SWITCH = "switch"

    @property
    def word(self) -> str:
        """How a user's message asks for it."""
        return f"[{self.value}]"


AGENT = "coder"
ROUTER = "orchestrator"


def script(chunk_delay: float, words: int) -> tuple[Reply, ...]:
    """Replies for any number of turns of every kind; an answer has so many words, each after so many seconds."""
    answer = text(" ".join(f"word{n}" for n in range(words)), chunk_delay=chunk_delay)
    opening = text("Let me look at it.", chunk_delay=chunk_delay)
    route = json.dumps({"agent": AGENT, "confidence": "high", "reason": "scripted"})

    def asked(kind: Kind) -> When:
        return When(last_user_contains=kind.word, last_role="user", has_tools=True)

    reads = [call("read_file", {"path": f"file{n}.txt"}, id=f"read{n}") for n in range(3)]
    write = call("write_file", {"path": "out.txt", "content": "x"}, id="write")
    return (
        reply(text(route, chunk_delay=chunk_delay), when=When(has_tools=False), repeat=True),
        reply(opening, tool_calls(reads[0], chunk_delay=chunk_delay), when=asked(Kind.TOOL), repeat=True),
        reply(opening, tool_calls(*reads, chunk_delay=chunk_delay), when=asked(Kind.PARALLEL), repeat=True),
        reply(opening, tool_calls(write, chunk_delay=chunk_delay), when=asked(Kind.APPROVAL), repeat=True),
        reply(answer, repeat=True),
    )
