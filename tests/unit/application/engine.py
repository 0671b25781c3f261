"""A process's engine on fakes: a store in memory, leases that a test decides, turns that run until they are let go."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from services.application.background.lease_keeper import LeaseKeeper
from services.application.ports import (
    Claim,
    Committed,
    Decision,
    IdempotencyKey,
    Incarnation,
    OrphanedSession,
    OwnedHead,
    SessionView,
)
from services.application.ports.store import NOTHING_MORE
from services.application.turns.running_turns import RunningTurns
from services.application.turns.turn_runner import TurnRunner
from services.domain.agent_context import AgentContext
from services.domain.errors import DatabaseUnavailableError, SessionNotFoundError
from services.domain.session import Session
from services.domain.session_change import HeadMove, Lookup
from services.domain.tool import ClientTool
from services.domain.turn import Turn
from tests.support.changes import a_running_turn, a_session
from tests.support.clock import ManualClock
from tests.support.memory_session import MemorySession

KEYS = {"s1": 1, "s2": 2, "s3": 3}


class MemoryStore:
    """A `SessionStore` of sessions in memory; commands only, since nobody here steps."""

    def __init__(self) -> None:
        self.sessions: dict[str, MemorySession] = {}
        self.away = False

    async def create(
        self,
        session: Session,
        context: AgentContext,
        *,
        client_tools: tuple[ClientTool, ...] = (),
        allow_existing: bool,
        key: IdempotencyKey | None,
    ) -> tuple[SessionView, bool]:
        raise NotImplementedError

    async def fork(
        self,
        owner_id: str,
        source_id: str,
        new_id: str,
        *,
        title: str | None,
        until_message_id: str,
        correlation_id: str,
        key: IdempotencyKey | None,
    ) -> tuple[SessionView, int]:
        raise NotImplementedError

    async def step(
        self, claim: Claim, decide: Decision, *, correlation_id: str, lookup: Lookup = NOTHING_MORE
    ) -> Committed:
        raise NotImplementedError

    async def recall(self, key: IdempotencyKey) -> str | None:
        return None

    async def change(
        self,
        owner_id: str,
        session_id: str,
        decide: Decision,
        *,
        correlation_id: str,
        key: IdempotencyKey | None = None,
        lookup: Lookup = NOTHING_MORE,
    ) -> Committed:
        if self.away:
            raise DatabaseUnavailableError("away")
        memory = self.sessions.get(session_id)
        if memory is None:
            raise SessionNotFoundError
        change = memory.change(decide, lookup, correlation_id=correlation_id)
        claim = self.claim(session_id) if change.head_move is HeadMove.CLAIM else None
        session = replace(change.loaded, session=change.session, context=change.context, turn=change.turn)
        return Committed(session, claim=claim, outcome=change.outcome)

    def claim(self, session_id: str) -> Claim:
        return Claim(KEYS[session_id], session_id, "ann", self.sessions[session_id].epoch)


class ScriptedLeases:
    """`Leases` that say what a test has them say."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self.living: dict[str, float] = {}
        self.owned: set[str] = set()
        self.orphaned: list[OrphanedSession] = []
        self.away = False

    async def register(self, incarnation: str, seconds: float) -> None:
        self._check()
        self.living[incarnation] = seconds

    async def renew(self, incarnation: str, seconds: float) -> list[OwnedHead] | None:
        self._check()
        if incarnation not in self.living:
            return None
        return [OwnedHead(self._store.claim(session_id), control=0) for session_id in sorted(self.owned)]

    async def end(self, incarnation: str) -> None:
        self._check()
        self.living.pop(incarnation, None)

    async def orphans(self, limit: int) -> list[OrphanedSession]:
        self._check()
        return self.orphaned[:limit]

    async def count_living(self) -> int:
        self._check()
        return max(1, len(self.living))

    def _check(self) -> None:
        if self.away:
            raise DatabaseUnavailableError("away")


class HeldRunner(TurnRunner):
    """Runs each turn until the test lets it go, makes it fail, or somebody stops it."""

    def __init__(self) -> None:
        self.running: dict[str, Claim] = {}
        self.stopped: list[str] = []
        self._ends: dict[str, asyncio.Future[None]] = {}

    async def run(self, claim: Claim, turn: Turn) -> None:
        end = self._ends[claim.session_id] = asyncio.get_running_loop().create_future()
        self.running[claim.session_id] = claim
        try:
            await end
        except asyncio.CancelledError:
            self.stopped.append(claim.session_id)
            raise
        finally:
            if self.running.get(claim.session_id) == claim:
                del self.running[claim.session_id]

    def let_go(self, session_id: str) -> None:
        self._ends[session_id].set_result(None)

    def fail(self, session_id: str, error: Exception) -> None:
        self._ends[session_id].set_exception(error)


class Engine:
    """The lease keeper and the running turns of one process."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self.leases = ScriptedLeases(self.store)
        self.runner = HeldRunner()
        self.looked_again: list[int] = []
        self.turns = RunningTurns(self.runner, self.store, self.looked_again.append)
        self.incarnation = Incarnation()
        self.keeper = LeaseKeeper(self.leases, self.store, self.turns, self.clock, self.incarnation, lease=5.0)

    def add_session(self, session_id: str = "s1", *, orphaned: bool = False) -> Turn:
        """A session with a running turn that some process has claimed; returns the turn."""
        turn = a_running_turn(id=f"turn_of_{session_id}")
        memory = MemorySession(a_session(id=session_id, key=KEYS[session_id]), turn=turn)
        memory.owner_lives = not orphaned
        self.store.sessions[session_id] = memory
        return turn

    async def run_here(self, session_id: str = "s1") -> Turn:
        """A session that this process owns and whose turn it runs."""
        turn = self.add_session(session_id)
        self.leases.owned.add(session_id)
        self.turns.start(self.store.claim(session_id), turn)
        await settled()
        return turn


async def settled() -> None:
    """Lets every task go as far as it gets by itself."""
    for _ in range(20):
        await asyncio.sleep(0)
