"""Lines typed at a terminal: editing, history, pasting of several lines, where the platform has them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from types import ModuleType


def _line_editor() -> ModuleType | None:
    """Python's readline module; None on a platform without it, where lines are read as they are."""
    with suppress(ImportError):
        import readline

        return readline
    return None


readline = _line_editor()
_COLOURS = {"cyan": "36", "green": "32", "yellow": "33"}


def prepare() -> None:
    """Call once before the first line is read."""
    if readline is not None:
        # Only what a person says to the agent is worth remembering, see `remember`.
        readline.set_auto_history(False)
        readline.parse_and_bind("set enable-bracketed-paste on")


def remember(line: str) -> None:
    """Makes the line reachable by the arrow keys."""
    if readline is not None and line.strip():
        readline.add_history(line)


def read_line(prompt: str, prefill: str = "") -> str:
    """One line without its end; several if several were pasted. Raises EOFError and KeyboardInterrupt."""
    if readline is None or not prefill:
        return input(prompt)
    readline.set_startup_hook(lambda: readline.insert_text(prefill))
    try:
        return input(prompt)
    finally:
        readline.set_startup_hook()


def prompt(text: str, colour: str) -> str:
    """The text for `read_line`, in bold colour where that can be seen."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or "NO_COLOR" in os.environ:
        return text
    # The marks tell the line editor that what is between them takes no room.
    return f"\x01\x1b[1;{_COLOURS[colour]}m\x02{text}\x01\x1b[0m\x02"


def forget_typed_ahead() -> None:
    """So that what was typed for something else never answers a question that had not been seen."""
    with suppress(ImportError, OSError, ValueError):
        import termios

        if sys.stdin.isatty():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
