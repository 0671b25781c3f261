"""How a tool says no."""

from __future__ import annotations


class ToolFailedError(Exception):
    """The call could not be done; the text is for the model and says what to do instead, where there is something."""
