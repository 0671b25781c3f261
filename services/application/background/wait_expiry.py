"""Ends the waits that are over, wherever they began: those that have run out, and those for a place to run."""

from __future__ import annotations

import asyncio
import logging

from services.application.ports import SessionStore, Waits
from services.application.turns.call_policy import CallPolicy
from services.application.turns.outside_steps import EXPIRING, expire_waits
from services.application.turns.running_turns import RunningTurns
from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import RuntimeServiceError, SessionNotFoundError
from services.domain.session_change import SessionChange

logger = logging.getLogger(__name__)

_AT_ONCE = 100


class WaitExpiry:
    """Looks every `interval` seconds. Any number of replicas may: each wait is checked again under its session's lock,
    so it ends exactly once.
    """

    def __init__(
        self,
        waits: Waits,
        store: SessionStore,
        turns: RunningTurns,
        policy: CallPolicy,
        limits: TurnLimits,
        *,
        interval: float = 0.5,
    ) -> None:
        self._waits = waits
        self._store = store
        self._turns = turns
        self._policy = policy
        self._limits = limits
        self._interval = interval

    async def run(self) -> None:
        """Ends waits for ever; what the database refuses now is ended later."""
        while True:
            try:
                await self.end_due()
            except RuntimeServiceError as error:
                logger.warning("waits could not be ended, will try again: %s", error.reason)
            await asyncio.sleep(self._interval)

    async def end_due(self) -> int:
        """Ends the waits of the longest overdue sessions; returns how many sessions had any."""
        due = await self._waits.due(_AT_ONCE)
        for session in due:
            await self._end(session.owner_id, session.session_id)
        return len(due)

    async def _end(self, owner_id: str, session_id: str) -> None:
        def decide(change: SessionChange) -> None:
            expire_waits(change, self._limits, self._policy)

        try:
            committed = await self._store.change(
                owner_id, session_id, decide, correlation_id="wait-expiry", lookup=EXPIRING
            )
        except SessionNotFoundError:
            return
        except RuntimeServiceError:
            raise
        except Exception:
            logger.exception("the waits of one session could not be ended", extra={"session_id": session_id})
            return
        self._turns.start_claimed(committed)
