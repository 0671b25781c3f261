"""The places of a turn where the model is asked: what leads there, and what a good answer would be."""

from __future__ import annotations

from dataclasses import dataclass

from devtools.scripted_model import Reply, When, call, reply, text, tool_calls
from devtools.scripted_model.script import Part
from tests.rpc.model_faults.faults import Fault

# Slow enough that the first piece is read before a connection is lost: what is lost with it was never said.
_PACE = 0.01
_ANSWER = text("This is the answer to it, and nothing else is.", chunk_delay=_PACE)
_ROUTED = text('{"agent": "coder", "confidence": "high", "reason": "it was said"}', chunk_delay=_PACE)


@dataclass(frozen=True, slots=True)
class Flow:
    """`before` are the parts the model says on the way; `struck` the answer that the fault takes the place of.

    `agent` answers the message; None lets the router choose.
    """

    name: str
    struck: Part = _ANSWER
    before: Part | None = None
    agent: str | None = "coder"

    @property
    def routed(self) -> bool:
        """Whether it is the router's call that fails, which never fails the turn: words decide instead."""
        return self.agent is None

    def script(self, fault: Fault | None, token: str, *led_to_by: Part) -> list[Reply]:
        """What the model says to a user message with this token; without a fault nothing is wrong.

        `led_to_by` comes before what leads to the call that is struck, on a connection that is not used again.
        """
        asks = When(last_user_contains=token, last_role="user", has_tools=True)
        goes_on = When(last_user_contains=token, last_role="tool")
        routes = When(last_user_contains=token, has_tools=False)
        where = routes if self.routed else asks if self.before is None else goes_on
        replies = []
        if self.before is not None:
            replies.append(changed(reply(*led_to_by, self.before), when=asks, headers={"Connection": "close"}))
        if fault is not None:
            replies.append(changed(fault.broken(self.struck), when=where, times=fault.times))
        replies.append(reply(self.struck, when=where))
        return [*replies, reply(_ANSWER, when=asks, repeat=True), reply(_ANSWER, when=goes_on, repeat=True)]


def changed(answer: Reply, **fields: object) -> Reply:
    """The reply with these fields instead of its own."""
    return Reply(**{name: getattr(answer, name) for name in answer.__struct_fields__} | fields)


_READ = tool_calls(call("read_file", {"path": "docs/read_me_first.md"}, id="r1"), chunk_delay=_PACE)
_READS = tool_calls(*(call("read_file", {"path": f"{n}.md"}, id=f"r{n}") for n in range(3)))

FLOWS = (
    Flow("text"),
    Flow("a tool call", struck=_READ),
    Flow("after a tool", before=_READ),
    Flow("after three tools", before=_READS),
    Flow("after an approval", before=tool_calls(call("write_file", {"path": "a.md", "content": "x"}, id="w1"))),
    Flow(
        "after a switch",
        before=tool_calls(call("switch_mode", {"mode": "coder", "reason": "it is code"}, id="s1")),
        agent="ask",
    ),
    Flow(
        "after an answer",
        before=tool_calls(
            call("ask_followup_question", {"question": "Which?", "suggestions": ["this", "that"]}, id="q1")
        ),
    ),
    Flow("routing", struck=_ROUTED, agent=None),
)
