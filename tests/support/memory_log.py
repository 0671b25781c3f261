"""An event log in memory, for tests of what stands before it."""

from __future__ import annotations

from services.application.ports import LogPage
from services.domain.errors import SessionNotFoundError
from services.domain.session_events import SessionEvent, TextDelta
from tests.support.changes import NOW


def event(sequence: int, text: str = "text", size: int = 10) -> SessionEvent:
    """A small event with that number."""
    return SessionEvent("s1", sequence, TextDelta("m1", text), NOW, "corr-1", "turn_1", size)


class MemoryLog:
    """An `EventLog` whose committed events and holes a test sets, with pages of a few events."""

    def __init__(self, *, page: int = 3) -> None:
        self._page = page
        self.logs: dict[int, dict[int, SessionEvent]] = {}
        self.heads: dict[int, int] = {}
        self.cleared: dict[int, int] = {}
        self.reads = 0

    def commit(self, session_key: int, *events: SessionEvent) -> None:
        log = self.logs.setdefault(session_key, {})
        for new in events:
            log[new.sequence] = new
            self.heads[session_key] = max(self.heads.get(session_key, 0), new.sequence)

    def compact(self, session_key: int, *sequences: int) -> None:
        """Removes events below the head; the numbers stay used."""
        for sequence in sequences:
            self.logs[session_key].pop(sequence, None)

    async def read(self, session_key: int, after: int) -> LogPage:
        if session_key not in self.logs:
            raise SessionNotFoundError
        self.reads += 1
        head = self.heads.get(session_key, 0)
        rest = sorted(sequence for sequence in self.logs[session_key] if sequence > after)
        events = tuple(self.logs[session_key][sequence] for sequence in rest[: self._page])
        through = events[-1].sequence if len(rest) > self._page else max(after, head)
        return LogPage(events, through, head, self.cleared.get(session_key, 0))
