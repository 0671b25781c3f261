"""The right to write a session's log, and how it is lost."""

from __future__ import annotations

from dataclasses import dataclass

from services.domain.ids import new_id


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to write a session's log, as long as nobody raises its epoch."""

    session_key: int
    session_id: str
    owner_id: str
    epoch: int


class FencedError(Exception):
    """The claim is void: another process, or a command, took the session over. Whoever holds it stops at once."""


class Incarnation:
    """The name under which this process holds sessions; it dies with its lease and is replaced by a fresh one."""

    def __init__(self) -> None:
        self.name = new_id("replica")

    def replace(self) -> None:
        """Takes a new name: nothing the old one held is ours any more."""
        self.name = new_id("replica")
