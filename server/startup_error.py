"""The one exception that means "this process cannot start": the command prints its message and exits with 2."""

from __future__ import annotations


class StartupError(Exception):
    """Why the process cannot start, as one line for the operator; holds no secret."""
