"""Keeps this process's lease, and acts when it is lost or when somebody else's is."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from services.application.ports import Claim, Clock, Decision, Incarnation, Leases, OrphanedSession, SessionStore
from services.application.turns.outside_steps import recover_turn
from services.application.turns.running_turns import RunningTurns
from services.domain.errors import RuntimeServiceError, SessionNotFoundError

logger = logging.getLogger(__name__)

_RECOVERED_AT_ONCE = 50
_RECOVERED_TOGETHER = 6  # connections that recovery takes from callers at most


class LeaseKeeper:
    """Looks after the incarnation of this process. `lease` is in seconds; it is renewed every fifth of it.

    `run` and `run_recovery` must be running while turns are.
    """

    def __init__(
        self,
        leases: Leases,
        store: SessionStore,
        turns: RunningTurns,
        clock: Clock,
        incarnation: Incarnation,
        *,
        lease: float = 5.0,
    ) -> None:
        self._leases = leases
        self._store = store
        self._turns = turns
        self._clock = clock
        self._lease = lease
        self._incarnation = incarnation
        self._renewed = 0.0
        self._unattended: set[Claim] = set()
        self._recovering = asyncio.Semaphore(_RECOVERED_TOGETHER)
        self._stopping = False
        self._handing_over = asyncio.Lock()
        self._handed_over = False

    async def start(self) -> None:
        """Takes the first lease. Raises DatabaseUnavailableError."""
        started = self._clock.monotonic()
        await self._leases.register(self._incarnation.name, self._lease)
        self._renewed = started

    async def run(self) -> None:
        """Renews and fences itself, until `stop`."""
        while not self._stopping:
            try:
                await self.tick()
            except RuntimeServiceError as error:
                logger.warning("the lease could not be looked after: %s", error.reason)
                await self._give_up_if_expired()
            await asyncio.sleep(self._lease / 5)

    async def tick(self) -> None:
        """One round: renew the lease, drop what is no longer ours, take up what is ours and runs nowhere."""
        believed = self._turns.claims()
        started = self._clock.monotonic()
        owned = await self._leases.renew(self._incarnation.name, self._lease)
        if self._stopping:
            return
        if owned is None:
            await self._begin_anew()
            return
        self._renewed = started
        ours = {head.claim for head in owned}
        for claim in believed:
            if claim not in ours:
                self._turns.void(claim)
        await self._attend_to(ours)

    async def run_recovery(self) -> None:
        """Takes up what the dead have left, until `stop`. Apart from `run`: however long it takes, the lease is
        renewed.
        """
        while not self._stopping:
            try:
                await self.recover()
            except RuntimeServiceError as error:
                logger.warning("nothing could be recovered, will try again: %s", error.reason)
            await asyncio.sleep(self._lease / 5)

    async def recover(self) -> None:
        """One round: takes up everything that is orphaned now, several sessions at once.

        A session whose head is locked or broken is left for the next round and keeps nobody waiting.
        """
        found = _RECOVERED_AT_ONCE
        while found == _RECOVERED_AT_ONCE:
            orphans = await self._leases.orphans(_RECOVERED_AT_ONCE)
            recovered = await asyncio.gather(*(self._recover_one(orphan) for orphan in orphans))
            found = sum(recovered)  # a page on which nothing could be done would come again

    async def stop(self) -> None:
        """Hands everything over: stops the turns, then ends the lease, so that nobody has to wait for it to expire.

        No turn is begun here any more: what calls still let run is for another process. Called again, it waits for the
        same.
        """
        self._stopping = True
        async with self._handing_over:
            if self._handed_over:
                return
            self._handed_over = True
            await self._turns.close()
            try:
                await self._leases.end(self._incarnation.name)
            except RuntimeServiceError as error:
                logger.warning("the lease could not be ended, it will expire: %s", error.reason)

    async def _begin_anew(self) -> None:
        logger.error("the lease was lost: every turn stops, the process goes on under a new name")
        await self._turns.stop_all()
        self._incarnation.replace()
        self._unattended.clear()
        await self.start()

    async def _give_up_if_expired(self) -> None:
        """Without the database nobody can say whose the sessions are; after a lease's time they are not ours."""
        if self._clock.monotonic() - self._renewed > self._lease and self._turns.claims():
            logger.error("the lease cannot be renewed: every turn stops")
            await self._turns.stop_all()

    async def _attend_to(self, ours: set[Claim]) -> None:
        """Takes up what is ours and runs nowhere, once it has been so for a whole round: a claim may just be
        starting.

        A session that is broken must not keep the lease from being renewed.
        """
        idle = ours.difference(self._turns.claims())
        for claim in idle & self._unattended:
            try:
                await self._recover(claim.owner_id, claim.session_id, partial(recover_turn, unattended=True))
            except RuntimeServiceError:
                raise  # the database's matter, and so the whole round's
            except Exception:
                logger.exception("a session could not be recovered", extra={"session_id": claim.session_id})
        self._unattended = idle

    async def _recover_one(self, orphan: OrphanedSession) -> bool:
        """Whether the session could be looked at."""
        if self._stopping:
            return False  # it may just have been ours
        try:
            async with self._recovering:
                await self._recover(orphan.owner_id, orphan.session_id, recover_turn)
        except RuntimeServiceError as error:
            logger.warning("a session could not be recovered, will try again: %s", error.reason)
            return False
        except Exception:
            logger.exception("a session could not be recovered", extra={"session_id": orphan.session_id})
            return False
        return True

    async def _recover(self, owner_id: str, session_id: str, decide: Decision) -> None:
        try:
            committed = await self._store.change(owner_id, session_id, decide, correlation_id=self._incarnation.name)
        except SessionNotFoundError:
            return
        turn = committed.session.turn if committed.session is not None else None
        if committed.claim is not None and turn is not None:
            about = {"session_id": session_id, "turn_id": turn.id, "correlation_id": turn.correlation_id}
            logger.info("a turn is taken up again", extra=about)
            self._turns.start_claimed(committed)
