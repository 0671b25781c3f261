"""Runs a chat as it was asked for: with a person, or for one message."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine

from rich.console import Console

from client.chat import line_editing
from client.chat.interactive import InteractiveChat
from client.chat.keyboard import Keyboard
from client.chat.one_shot import one_shot
from client.chat.options import ChatOptions
from client.chat.screen import Screen


def message_of(options: ChatOptions) -> str | None:
    """The one message to send, from the command line or standard input; None for a chat."""
    return sys.stdin.read() if options.message == "-" else options.message


async def converse(options: ChatOptions, keyboard: Keyboard) -> int:
    """The chat with a person, on the loop that `keyboard.run` made; returns the exit code."""
    return await InteractiveChat(options, keyboard, Screen(Console(highlight=False))).run()


def run_to_the_end(work: Coroutine[None, None, int]) -> int:
    """Runs what has no person at the keyboard; returns its exit code, 1 for a Ctrl-C it could not handle itself."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return 1


def start(options: ChatOptions) -> int:
    """Runs the chat in this process's main thread; returns the exit code."""
    message = message_of(options)
    if message is not None:
        return run_to_the_end(one_shot(options, message))
    line_editing.prepare()
    keyboard = Keyboard()
    return keyboard.run(lambda: converse(options, keyboard))
