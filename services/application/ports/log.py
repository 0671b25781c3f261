"""The event log: its one writer of deltas, and its readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.application.ports.claims import Claim
from services.domain.session_events import NewEvent, SessionEvent


class LogWriter(Protocol):
    """The one writer of deltas of this process: commits what all its sessions have waiting in one transaction at a
    time.
    """

    def open(self, claim: Claim) -> None:
        """Begins to take deltas under a fresh claim."""

    async def write(self, claim: Claim, delta: NewEvent) -> None:
        """Queues a delta; it is delivered once it is durable. Waits only while too much of this session is waiting.

        Raises FencedError when the claim is void.
        """

    def close(self, claim: Claim) -> None:
        """Forgets the claim; deltas still waiting are dropped (nobody has seen them)."""


@dataclass(frozen=True, slots=True)
class LogPage:
    """A stretch of a session's log: the events with numbers in (after, through], in order.

    `events` may have holes; what is missing up to `cleared_through` was cleared, what is missing above it was
    compacted. `through` is the last number this page speaks for, `head` the last there is.
    """

    events: tuple[SessionEvent, ...]
    through: int
    head: int
    cleared_through: int


class EventLog(Protocol):
    """The durable log of every session, to read."""

    async def read(self, session_key: int, after: int) -> LogPage:
        """The next stretch after a number, bounded in events and bytes; empty at the head.

        Raises SessionNotFoundError when the session is gone without a trace.
        """
