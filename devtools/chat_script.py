"""What the scripted model of `make chat ARGS=--scripted` says: enough to see tools and approvals without a model."""

from __future__ import annotations

from devtools.scripted_model import When, call, reasoning, reply, text, tool_calls

_DELAY = 0.03
_SHOW = "show me"
_GREETING = 'print("Hello from the chat")\n'

INVITATION = (
    f"A scripted model answers. Say \u201c{_SHOW}\u201d to see tools and approvals; it repeats whatever else you say."
)
_ROUTE = '{"agent": "coder", "confidence": "high", "reason": "wants to see tools at work"}'

_TOUR = (
    # The question of the router, which offers no tools.
    reply(text(_ROUTE), when=When(last_user_contains=_SHOW, has_tools=False)),
    reply(
        reasoning("I look before I write. ", chunk_delay=_DELAY),
        text("Let me see what is here.", chunk_delay=_DELAY),
        tool_calls(call("list_files", {"path": "."}, id="show_list")),
        when=When(last_user_contains=_SHOW, last_role="user", has_tools=True),
    ),
    reply(
        text("I would like to add a small program.", chunk_delay=_DELAY),
        tool_calls(call("write_file", {"path": "hello_from_chat.py", "content": _GREETING}, id="show_write")),
        when=When(last_user_contains=_SHOW, last_role="tool"),
    ),
    reply(
        text("And now to see whether it runs.", chunk_delay=_DELAY),
        tool_calls(call("execute_command", {"command": "python3 hello_from_chat.py"}, id="show_run")),
        when=When(last_user_contains=_SHOW, last_role="tool"),
    ),
    reply(
        text(
            "That was all: I listed your files, wrote one and ran it, as far as you let me. A real model does the same "
            "with your own task.",
            chunk_delay=_DELAY,
        ),
        when=When(last_user_contains=_SHOW, last_role="tool"),
    ),
)

# Each reply is given once, which keeps those of one tour in their order.
SCRIPT = _TOUR * 100
