"""The turns this process runs: one supervised task each, found by session, stopped when the right to run them is
lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from services.application.ports import Claim, Committed, FencedError, SessionStore
from services.application.turns.outside_steps import fail_internally
from services.application.turns.turn_runner import TurnFaultError, TurnRunner
from services.domain.errors import RuntimeServiceError
from services.domain.session_change import Lookup, SessionChange
from services.domain.turn import Turn, TurnState

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Running:
    claim: Claim
    task: asyncio.Task[None]


class RunningTurns:
    """Holds the tasks. All methods are called from the event loop and return at once, but for `stop_all`."""

    def __init__(self, runner: TurnRunner, store: SessionStore, look_again: Callable[[int], None]) -> None:
        """`look_again` makes the readers of a session look at the log, by its key."""
        self._runner = runner
        self._store = store
        self._look_again = look_again
        self._running: dict[int, _Running] = {}
        # Those that were told to stop are still at work for a moment, and the event loop alone does not keep a task.
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, claim: Claim, turn: Turn) -> None:
        """Begins to run a turn under a fresh claim; an older run of the same session is void and stops.

        After `close` it is left to whoever recovers it.
        """
        if self._closed:
            return
        older = self._running.get(claim.session_key)
        if older is not None:
            self.stop(older.claim)
        task = asyncio.create_task(self._run(claim, turn), name=f"turn {turn.id}")
        self._running[claim.session_key] = _Running(claim, task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: self._ended(claim))

    def start_claimed(self, committed: Committed) -> None:
        """Runs the turn that a change has made ours to run; does nothing if it made none."""
        if committed.claim is not None and committed.session is not None and committed.session.turn is not None:
            self.start(committed.claim, committed.session.turn)

    def stop(self, claim: Claim) -> None:
        """Stops the turn run under a claim that is void; nothing more is written for it. Harmless when it has ended."""
        running = self._running.get(claim.session_key)
        if running is not None and running.claim == claim:
            del self._running[claim.session_key]
            running.task.cancel()

    def void(self, claim: Claim) -> None:
        """Stops the turn run under a claim that turned out to be void.

        What ended it may have been our own last commit, whose reply was lost, so readers look for what nobody told
        them.
        """
        self.stop(claim)
        self._look_again(claim.session_key)

    def stop_session(self, session_key: int) -> None:
        """Stops whatever turn of the session runs here: a command has just ended it."""
        running = self._running.get(session_key)
        if running is not None:
            self.stop(running.claim)

    def claims(self) -> list[Claim]:
        """What this process believes to own and runs."""
        return [running.claim for running in self._running.values()]

    async def stop_all(self) -> None:
        """Stops every turn and waits until none writes any more; they are taken up again by whoever recovers them."""
        for claim in self.claims():
            self.stop(claim)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """`stop_all`, for good."""
        self._closed = True
        await self.stop_all()

    async def _run(self, claim: Claim, turn: Turn) -> None:
        try:
            await self._runner.run(claim, turn)
        except FencedError:
            logger.info("the turn was taken over or ended from outside", extra={"turn_id": turn.id})
            self._look_again(claim.session_key)
        except Exception as error:
            failed = error.turn if isinstance(error, TurnFaultError) else turn
            logger.exception("a turn failed", extra={"turn_id": failed.id})
            await self._give_up(claim, failed)
            self._look_again(claim.session_key)

    async def _give_up(self, claim: Claim, turn: Turn) -> None:
        """A fault of ours ends the turn, as a command: the owner's own way to write may be what is broken."""

        def decide(change: SessionChange) -> None:
            # One that waits has done its step: the fault came after the commit, and there is nothing to give up.
            if change.turn is not None and change.turn.id == turn.id and change.turn.state is TurnState.RUNNING:
                fail_internally(change)

        try:
            committed = await self._store.change(
                claim.owner_id,
                claim.session_id,
                decide,
                correlation_id=turn.correlation_id,
                lookup=Lookup(draft_text=True),
            )
            self._ended(claim)
            self.start_claimed(committed)  # the message that waited next
        except RuntimeServiceError as error:
            logger.error("a failed turn could not be ended: %s", error.reason, extra={"turn_id": turn.id})
        except Exception:
            logger.exception("ending a failed turn failed, too", extra={"turn_id": turn.id})

    def _ended(self, claim: Claim) -> None:
        running = self._running.get(claim.session_key)
        if running is not None and running.claim == claim:
            del self._running[claim.session_key]
