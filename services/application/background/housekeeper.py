"""Keeps the database from growing with time instead of with what sessions hold."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from services.application.ports import Housekeeping
from services.domain.errors import RuntimeServiceError

logger = logging.getLogger(__name__)

_TURNS_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in seconds: deltas after their turn ended, request ids, ids of deleted sessions, audit
    records.
    """

    deltas: float = 10 * 60
    requests: float = 24 * 60 * 60
    deleted_sessions: float = 30 * 24 * 60 * 60
    audit_records: float = 365 * 24 * 60 * 60


class Housekeeper:
    """Tidies every `interval` seconds, in small transactions, so that nobody waits for it."""

    def __init__(self, storage: Housekeeping, retention: Retention, *, interval: float = 30.0) -> None:
        self._storage = storage
        self._retention = retention
        self._interval = interval

    async def run(self) -> None:
        """Tidies for ever; what the database refuses now is done later."""
        while True:
            try:
                await self.tidy()
            except RuntimeServiceError as error:
                logger.warning("nothing could be tidied, will try again: %s", error.reason)
            await asyncio.sleep(self._interval)

    async def tidy(self) -> None:
        """One round: everything that is due."""
        compacted = _TURNS_AT_ONCE
        while compacted == _TURNS_AT_ONCE:
            compacted = await self._storage.compact(older_than=self._retention.deltas, limit=_TURNS_AT_ONCE)
        await self._storage.forget_requests(older_than=self._retention.requests)
        await self._storage.forget_deleted_sessions(older_than=self._retention.deleted_sessions)
        await self._storage.forget_audit_records(older_than=self._retention.audit_records)
