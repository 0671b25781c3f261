"""Domain events between their commit and their delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.domain.domain_events import DomainEvent


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A domain event on its way to subscribers."""

    id: int
    event: DomainEvent


class Outbox(Protocol):
    """Domain events that were committed with their change and are not yet delivered."""

    async def oldest(self, limit: int) -> list[OutboxEntry]:
        """The oldest entries, in the order they were written."""

    async def delivered(self, entries: Sequence[OutboxEntry]) -> None:
        """Removes entries; harmless when they are gone."""
