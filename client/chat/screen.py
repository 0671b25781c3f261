"""What is written to the terminal, in the order it happens, with a sign of life while nothing comes."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.status import Status
from rich.text import Text

from client.chat.visible import visible


class Screen:
    """Writes lines and streamed text. Knows whether a line is open, so that nothing is glued to half a sentence."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._line_is_open = False
        self._status: Status | None = None

    def stream(self, text: str, style: str = "") -> None:
        """The next words of a text, at once. Hidden characters are escaped."""
        if text:
            self.quiet()
            shown = visible(text)
            self.console.print(Text(shown, style=style), end="", soft_wrap=True)
            self._line_is_open = not shown.endswith("\n")

    def line(self, content: RenderableType = "", style: str = "") -> None:
        """A line or block of its own; a text is taken as it is, without markup."""
        self.end_line()
        shown = Text(visible(content), style=style) if isinstance(content, str) else content
        self.console.print(shown, soft_wrap=isinstance(shown, Text))

    def end_line(self) -> None:
        """Ends the streamed line, if one is open."""
        self.quiet()
        if self._line_is_open:
            self.console.print()
            self._line_is_open = False

    def busy(self, doing: str) -> None:
        """Shows that something goes on, until anything else is written. Nothing if nobody would see it move."""
        if not self.console.is_terminal or self._line_is_open:
            return
        shown = Text(visible(doing), style="dim")
        if self._status is None:
            self._status = self.console.status(shown, spinner="dots", spinner_style="dim")
            self._status.start()
        else:
            self._status.update(shown)

    def quiet(self) -> None:
        """Takes the sign of life away."""
        if self._status is not None:
            self._status.stop()
            self._status = None
