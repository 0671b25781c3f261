"""What the scripted model says in these rows, told apart by a word in the user's message."""

from __future__ import annotations

import json

from devtools.scripted_model import Reply, When, call, gate, refusal, reply, text, tool_calls

ANSWER = "all is well that ends well "
HELD = "so far so good "
GATE = "held"
SUMMARY = "it was a long story "
ROUTED_TO = "coder"


def _asked(word: str) -> When:
    return When(last_user_contains=f"[{word}]", last_role="user", has_tools=True)


_ROUTE = json.dumps({"agent": ROUTED_TO, "confidence": "high", "reason": "scripted"})
_OTHER_ROUTE = json.dumps({"agent": "debug", "confidence": "high", "reason": "scripted"})
_READS = tuple(call("read_file", {"path": f"file{n}.txt"}, id=f"read{n}") for n in range(3))
_COMMAND = call("execute_command", {"command": "make test"}, id="command")
_QUESTION = call("ask_followup_question", {"question": "Which?", "suggestions": ["red", "blue"]}, id="question")

SCRIPT: tuple[Reply, ...] = (
    reply(text(SUMMARY), when=When(system_contains="You summarise the earlier part"), repeat=True),
    # What the agent is told beside takes half of it.
    refusal(
        400,
        code="context_length_exceeded",
        when=When(last_user_contains="[unreadable]", longer_than=9_000),
        repeat=True,
    ),
    reply(gate(GATE), text(_OTHER_ROUTE), when=When(has_tools=False, last_user_contains="[stuck]"), repeat=True),
    reply(text(_ROUTE), when=When(has_tools=False), repeat=True),
    reply(text("Let me look. "), tool_calls(_READS[0]), when=_asked("tool"), repeat=True),
    reply(text("Let me look. "), tool_calls(*_READS), when=_asked("parallel"), repeat=True),
    reply(text("May I? "), tool_calls(_COMMAND), when=_asked("approval"), repeat=True),
    reply(text("I wonder. "), tool_calls(_QUESTION), when=_asked("followup"), repeat=True),
    Reply(status=400, body="{}", when=_asked("fail"), repeat=True),
    reply(text(HELD), gate(GATE), text(ANSWER), when=_asked("held"), repeat=True),
    # Without counts of tokens: by them a server would learn to read more.
    reply(text(ANSWER, chunk_delay=0.004), repeat=True, send_usage=False),
)
