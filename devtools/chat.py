"""`make chat`: the chat, with a runtime of its own on this machine unless one is named."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from client.chat import line_editing
from client.chat.keyboard import Keyboard
from client.chat.one_shot import one_shot
from client.chat.options import ChatOptions, chat_parser, options_of
from client.chat.starting import converse, message_of, run_to_the_end, start
from devtools.chat_script import INVITATION, SCRIPT
from devtools.runtime_process import RuntimeNotStartedError, RuntimeProcess
from devtools.scripted_model import running_scripted_model

_PREFIX = "AGENT_RUNTIME__"
_DATABASE = "data/agent-runtime.db"
# What the chat decides itself: its server is its own, on loopback, and needs no keys.
_NOT_PASSED_ON = frozenset({"LISTEN", "KEYS", "DEV", "LLM_PROXY_URL", "DATABASE_URL"})
_NO_MODEL = (
    f"chat: no model yet. Set {_PREFIX}LLM_PROXY_URL to an OpenAI-compatible endpoint (…LLM_API_KEY and …LLM_MODEL go "
    "with it), or try it without a model: make chat ARGS=--scripted"
)


@asynccontextmanager
async def local_runtime(*, scripted: bool) -> AsyncIterator[str]:
    """A development server for as long as the context is open; yields its address.

    With `scripted` it talks to a scripted model and forgets its sessions. Raises RuntimeNotStartedError.
    """
    settings = {name.removeprefix(_PREFIX): value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    kept = {
        name: value
        for name, value in settings.items()
        if name not in _NOT_PASSED_ON and not name.startswith(("JWT__", "TLS__"))
    }
    async with AsyncExitStack() as stack:
        if scripted:
            directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="agent-runtime-chat-"))
            model = await stack.enter_async_context(running_scripted_model(*SCRIPT, echo_delay=0.03))
            server = RuntimeProcess(f"sqlite:///{Path(directory, 'chat.db')}", model.url, kept)
        else:
            model_settings = {"LLM_MODEL": settings.get("LLM_MODEL", "default")}
            database_url = settings.get("DATABASE_URL", f"sqlite:///{_DATABASE}")
            server = RuntimeProcess(database_url, settings["LLM_PROXY_URL"], kept | model_settings)
        with _deaf_to_ctrl_c():
            await stack.enter_async_context(server)
        try:
            yield server.address
        finally:
            await server.terminate()


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started inside never see Ctrl-C, which is for the chat: they inherit what this thread blocks."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _with_a_runtime(options: ChatOptions, scripted: bool, message: str | None, keyboard: Keyboard) -> int:
    try:
        async with local_runtime(scripted=scripted) as address:
            options = replace(options, address=address)
            if message is not None:
                return await one_shot(options, message)
            if scripted:
                print(INVITATION)
            return await converse(options, keyboard)
    except RuntimeNotStartedError as error:
        print(f"chat: the runtime did not start. {_last_line(str(error))}", file=sys.stderr)
        return 1


def _last_line(log: str) -> str:
    lines = log.strip().splitlines()
    return lines[-1] if lines else "It said nothing."


def main() -> int:
    """The command line; returns the exit code."""
    parser = chat_parser("make chat")
    parser.add_argument("--scripted", action="store_true", help="without a model: one that plays a short script")
    given = parser.parse_args()
    options = options_of(parser, given)
    if options.address:
        return start(options)
    if not given.scripted and not os.environ.get(f"{_PREFIX}LLM_PROXY_URL"):
        print(_NO_MODEL, file=sys.stderr)
        return 2
    message = message_of(options)
    keyboard = Keyboard()
    if message is not None:
        return run_to_the_end(_with_a_runtime(options, given.scripted, message, keyboard))
    line_editing.prepare()
    return keyboard.run(lambda: _with_a_runtime(options, given.scripted, None, keyboard))


if __name__ == "__main__":
    sys.exit(main())
