"""The process lease: who lives, and what the dead have left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.application.ports.claims import Claim


@dataclass(frozen=True, slots=True)
class OwnedHead:
    """A session this process owns, as the database has it."""

    claim: Claim
    control: int


@dataclass(frozen=True, slots=True)
class OrphanedSession:
    """A session whose owner's lease is over."""

    owner_id: str
    session_id: str


class Leases(Protocol):
    """The process lease: who lives, by the database's clock (G3, G4)."""

    async def register(self, incarnation: str, seconds: float) -> None:
        """Makes this incarnation live for so many seconds."""

    async def renew(self, incarnation: str, seconds: float) -> list[OwnedHead] | None:
        """Prolongs an unexpired lease and returns what this incarnation owns; None when the lease is lost."""

    async def end(self, incarnation: str) -> None:
        """Gives the lease up at once; what it owned is recovered by whoever looks first."""

    async def orphans(self, limit: int) -> list[OrphanedSession]:
        """Sessions with a running turn whose owner is gone."""

    async def count_living(self) -> int:
        """How many incarnations live, at least 1: whoever asks does."""
