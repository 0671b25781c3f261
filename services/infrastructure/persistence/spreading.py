"""How what was committed reaches those who watch: readers in this process, and other replicas."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.application.ports import Growth
from services.domain.session_events import SessionEvent

Publish = Callable[[int, Sequence[SessionEvent]], None]
"""Takes the events of one session, by its key, in order; returns at once."""

Tell = Callable[[Sequence[str], Growth], None]
"""Takes the incarnations that watch a session elsewhere, and how far its log goes; returns at once."""


def tell_nobody(_incarnations: Sequence[str], _growth: Growth) -> None:
    """For a process that shares its database with no other."""
