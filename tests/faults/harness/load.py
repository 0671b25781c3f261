"""Many sessions at once, talking until told to stop, each judged when it ends."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.harness.caller import Caller, LostSessionError, Network, RefusedError
from tests.faults.harness.conversation import Conversation
from tests.faults.harness.following import follow_session
from tests.faults.harness.history import History, SeenEvent
from tests.faults.harness.judge import violations
from tests.faults.harness.script import Kind
from tests.faults.harness.stored import Stored, read_stored
from tests.faults.harness.verdict import BUILD

# Below what a session may hold; besides, a long history makes every request to the model long.
_TURNS_PER_SESSION = 30
_WATCHED_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Ended:
    """A session nobody speaks in any more, and the number of its last event."""

    owner: str
    session_id: str
    last_sequence: int


class Load:
    """`sessions` conversations at a time, of these kinds. Start it, break things, finish it, read the figures.

    `restless` is the share of items after which a client leaves its stream and goes on in another. A conversation that
    has had many turns makes place for a new one. Each is judged at its end, against the log of every replica and the
    rows of the database.
    """

    def __init__(
        self,
        net: Network,
        database_url: str,
        *,
        sessions: int,
        seed: int,
        name: str,
        kinds: Sequence[Kind] = (*Kind,),
        restless: float = 0.0,
    ) -> None:
        self._net = net
        self._database_url = database_url
        self._seed = seed
        self._kinds = kinds
        self._name = name
        self._count = sessions
        self._restless = restless
        self._stopping = False
        self._workers: list[asyncio.Task[None]] = []
        self._last_whole_turn_began = [0.0] * sessions
        self._turn_ended = asyncio.Event()
        self._reading = asyncio.Semaphore(2)  # all at once, at the end, each would take too long
        self.violations: list[str] = []
        self.restarts: list[SeenEvent] = []
        self.lags: list[float] = []
        self.left = 0
        self.ended: list[Ended] = []
        self.turns = 0
        self.history: Path | None = None

    def start(self) -> None:
        """Begins all conversations."""
        self._workers = [
            asyncio.create_task(self._work(number), name=f"load {number}") for number in range(self._count)
        ]

    async def settled(self) -> None:
        """Returns once every conversation has been through a whole turn that began after this call (row 18)."""
        called = time.monotonic()
        while any(
            began < called and not worker.done()
            for began, worker in zip(self._last_whole_turn_began, self._workers, strict=True)
        ):
            self._turn_ended.clear()
            await self._turn_ended.wait()

    async def finish(self) -> None:
        """Ends every conversation after its turn, and judges it."""
        self._stopping = True
        await asyncio.gather(*self._workers)

    async def _work(self, number: int) -> None:
        choice = random.Random(f"{self._seed}-{number}")
        life = 0
        while not self._stopping:
            life += 1
            caller = Caller(self._net, f"{self._name}-owner-{number}", first=choice.randrange(8))
            history = History(f"{self._name}-{self._seed}-{number}-{life}")
            await self._live(number, caller, history, choice)
        # Nobody may wait for a conversation that is over.
        self._last_whole_turn_began[number] = float("inf")
        self._turn_ended.set()

    async def _live(self, number: int, caller: Caller, history: History, choice: random.Random) -> None:

        def leaves() -> bool:
            leaving = choice.random() < self._restless
            self.left += leaving
            return leaving

        conversation = Conversation(caller, history, choice, leaves)
        ends_at: list[int] = []
        watcher: asyncio.Task[None] | None = None
        try:
            await conversation.begin()
            if choice.random() < _WATCHED_SHARE:
                other = Caller(self._net, caller.owner, first=choice.randrange(8))
                following = follow_session(
                    other, history, lambda last: bool(ends_at) and last >= ends_at[0], leaves=leaves
                )
                watcher = asyncio.create_task(following, name=f"watch {number}")
            while not self._stopping and history.turns < _TURNS_PER_SESSION:
                began = time.monotonic()
                await conversation.turn(choice.choice(self._kinds))
                self._last_whole_turn_began[number] = began
                self._turn_ended.set()
                self.turns += 1
            stored = await self._stored(caller, history)
            ends_at.append(stored.last_sequence)
            if watcher is not None:
                await watcher
        except (RefusedError, LostSessionError) as error:
            history.complaints.append(f"G4: {type(error).__name__}: {error}")
            stored = await self._stored(caller, history)
        finally:
            if watcher is not None:
                watcher.cancel()
        self.ended.append(Ended(caller.owner, history.session_id, stored.last_sequence))
        self._judge(history, stored)

    async def _stored(self, caller: Caller, history: History) -> Stored:
        async with self._reading:
            return await read_stored(self._net, caller, self._database_url, history.session_id)

    def _judge(self, history: History, stored: Stored) -> None:
        found = violations(history, stored)
        if found:
            self.history = BUILD / "histories" / f"{history.session_id}.json"
            history.save(self.history, stored.events, found)
            self.violations += found
            self._stopping = True  # one broken session says enough; its history is kept
        restarted: set[int] = set()
        for seen in history.seen():
            if seen.event.HasField("attempt_restarted") and seen.event.sequence not in restarted:
                restarted.add(seen.event.sequence)
                self.restarts.append(seen)
        for view in history.views:
            if view.kind == "watch":
                opened = view.started
                self.lags += [
                    seen.at - max(opened, seen.event.event_time.ToNanoseconds() / 1e9) for seen in view.events
                ]
