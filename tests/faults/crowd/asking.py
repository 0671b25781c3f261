"""Messages from very many sessions over few connections, as fast as told, and what became of each."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from agent_runtime.v1.input_pb2 import UserMessage
from agent_runtime.v1.message_service_pb2 import SendMessageRequest
from tests.faults.crowd.ending import Ending, end_of
from tests.faults.crowd.peer import Peer, connected_socket

_SEND = "/agent_runtime.v1.MessageService/SendMessage"
_OK, _RESOURCE_EXHAUSTED = "0", "8"
_PATIENCE = 60.0


@dataclass(slots=True)
class _Tally:
    """What came of what was asked; times are seconds."""

    asked: int = 0
    done: int = 0
    refused: list[float] = field(default_factory=list)
    unsent: int = 0
    complaints: set[str] = field(default_factory=set)

    def count(self, end: Ending, took: float) -> None:
        if end.status == _OK:
            self.done += 1
            return
        self.refused.append(took)
        if end.status != _RESOURCE_EXHAUSTED or not end.retry_after:
            self.complaints.add(f"told status {end.status} {end.reason}, to come back after {end.retry_after}")


class Asking:
    """A crowd of one owner. Every method is a command; what it returns goes to whoever gave it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._peers: list[Peer] = []
        self._sessions: deque[str] = deque()
        self._waiting: dict[tuple[Peer, int], asyncio.Future[Ending]] = {}

    async def connect(self, owner: str, connections: int) -> int:
        """So many connections; how many."""
        loop = asyncio.get_running_loop()

        def peer() -> Peer:
            return Peer(
                ((b"x-owner-id", owner.encode()),),
                accepted=lambda *_: None,
                received=lambda *_: None,
                ended=self._on_end,
            )

        for _ in range(connections):
            sock = connected_socket(self._host, self._port, small=False)
            _, made = await loop.create_connection(peer, sock=sock)
            self._peers.append(made)
        return len(self._peers)

    async def talk_in(self, sessions: list[str]) -> int:
        """From now on all is asked in these sessions, in none of them twice at a time; how many."""
        self._sessions = deque(sessions)
        return len(self._sessions)

    async def ask_at_once(self, at_once: int, seconds: float) -> dict[str, object]:
        """Has so many turns asked for at any time, each after another has ended."""
        tally, ends_at = _Tally(), time.monotonic() + seconds

        async def work() -> None:
            while time.monotonic() < ends_at:
                await self._ask(tally)

        async with asyncio.timeout(seconds + _PATIENCE):
            await asyncio.gather(*(work() for _ in range(at_once)))
        return _told(tally, tally.done)

    async def ask_at_rate(self, rate: float, seconds: float) -> dict[str, object]:
        """Asks for so many turns a second, whatever becomes of them; `done` are those that ended in that time."""
        tally, began = _Tally(), time.monotonic()
        async with asyncio.timeout(seconds + _PATIENCE), asyncio.TaskGroup() as asking:
            while (passed := time.monotonic() - began) < seconds:
                while tally.asked < passed * rate:
                    tally.asked += 1
                    asking.create_task(self._ask(tally))
                await asyncio.sleep(0.002)
            done = tally.done
        return _told(tally, done)

    async def hang_up(self) -> int:
        """Closes all connections."""
        for peer in self._peers:
            peer.close()
        return 0

    async def _ask(self, tally: _Tally) -> None:
        """Asks in whichever session has been quiet for longest."""
        if not self._sessions:
            tally.unsent += 1
            return
        session = self._sessions.popleft()
        peer = self._peers[hash(session) % len(self._peers)]
        request = SendMessageRequest(session_id=session, user_message=UserMessage(text="go"))
        began = time.monotonic()
        ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._waiting[peer, peer.call(_SEND, request.SerializeToString())] = ending
        tally.count(await ending, time.monotonic() - began)
        self._sessions.append(session)

    def _on_end(self, peer: Peer, call: int, trailers: bytes) -> None:
        self._waiting.pop((peer, call)).set_result(end_of(trailers))


def _told(tally: _Tally, done: int) -> dict[str, object]:
    return {
        "done": done,
        "asked": tally.asked,
        "refused": tally.refused,
        "unsent": tally.unsent,
        "complaints": sorted(tally.complaints),
    }
