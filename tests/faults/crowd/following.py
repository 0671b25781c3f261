"""Many watches over few connections, each followed from event to event: what is late, lost or doubled shows."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass

from agent_runtime.v1.session_stream_pb2 import WatchSessionRequest, WatchSessionResponse
from tests.faults.crowd.ending import end_of
from tests.faults.crowd.peer import WHOLE_WINDOW, Peer, connected_socket

_WATCH = "/agent_runtime.v1.MessageService/WatchSession"
_AT_ONCE = 400  # streams that have been asked for and not accepted yet
_OPEN_SECONDS = 300.0


@dataclass(slots=True)
class _Watch:
    session: str
    position: int | None


class Following:
    """A crowd of one owner. Every method is a command; what it returns goes to whoever gave it."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._peers: list[Peer] = []
        self._watches: dict[tuple[Peer, int], _Watch] = {}
        self._pending = 0
        self._accepted = 0
        self._lags: list[float] = []
        self._seen: Counter[str] = Counter()
        self._ended: list[dict[str, object]] = []
        self._drip: asyncio.Task[None] | None = None

    async def connect(self, owner: str, connections: int, deaf: bool = False, drip: int | None = None) -> int:
        """So many connections more, for the streams that are opened next; how many.

        A `deaf` one reads nothing, ever, with windows open wide; with `drip` each call takes so many bytes a second.
        """
        loop = asyncio.get_running_loop()

        def peer() -> Peer:
            return Peer(
                ((b"x-owner-id", owner.encode()),),
                accepted=self._on_accepted,
                received=self._on_message,
                ended=self._on_end,
                window=WHOLE_WINDOW if drip is None else 0,
            )

        self._peers = []
        for _ in range(connections):
            sock = connected_socket(self._host, self._port, small=deaf or drip is not None)
            _, made = await loop.create_connection(peer, sock=sock)
            if deaf:
                made.stop_reading()
            self._peers.append(made)
        if drip is not None:
            self._drip = asyncio.create_task(_let_in(self._peers, drip))
        return len(self._peers)

    async def read_on(self) -> int:
        """Those who dripped take all there is from now on."""
        for peer in {peer for peer, _ in self._watches}:
            peer.let_in(WHOLE_WINDOW >> 1)
        return 0

    async def watch(self, sessions: list[str], after: int | None = None, wait: bool = True) -> float:
        """Watches these, evenly over the newest connections; the seconds until all are accepted."""
        began = time.monotonic()
        async with asyncio.timeout(_OPEN_SECONDS):
            for number, session in enumerate(sessions):
                self._open(self._peers[number % len(self._peers)], _Watch(session, after))
                if wait:
                    await self._accepted_but(_AT_ONCE)
            if wait:
                await self._accepted_but(0)
        return time.monotonic() - began

    async def seen(self) -> dict[str, object]:
        """What came since the last time: counts, and how late events were, in seconds."""
        counts, lags, ended = dict(self._seen), self._lags, self._ended
        self._seen, self._lags, self._ended = Counter(), [], []
        return {"counts": counts, "lags": lags, "ended": ended, "open": len(self._watches)}

    async def hang_up(self) -> int:
        """Closes all connections."""
        for peer in {peer for peer, _ in self._watches} | set(self._peers):
            peer.close()
        return 0

    async def churn(self, sessions: list[str], count: int, longest: float, at_once: int, seed: int) -> dict[str, int]:
        """Opens streams and cancels each after a random time up to `longest` seconds, so many at once."""
        rng = random.Random(seed)
        before = self._accepted

        async def one_after_the_other(number: int) -> None:
            for turn in range(number, count, at_once):
                peer = self._peers[number % len(self._peers)]
                call = self._open(peer, _Watch(rng.choice(sessions), rng.choice((None, 0))))
                # Before its request is read, while it waits for the database, in the midst of events, or in silence.
                await asyncio.sleep(rng.choice((0.0, rng.uniform(0.0, longest / 10), rng.uniform(0.0, longest))))
                if (peer, call) in self._watches:
                    self._forget(peer, call)
                    peer.cancel(call)
                if not peer.open:
                    raise ConnectionError(f"the connection was cut after {turn} streams")

        await asyncio.gather(*(one_after_the_other(number) for number in range(at_once)))
        return {"cancelled": count, "accepted": self._accepted - before}

    async def _accepted_but(self, few: int) -> None:
        while self._pending > few:  # noqa: ASYNC110 - a future for each would cost more than the streams
            await asyncio.sleep(0.001)

    def _open(self, peer: Peer, watch: _Watch) -> int:
        request = WatchSessionRequest(session_id=watch.session, after_sequence=watch.position)
        call = peer.call(_WATCH, request.SerializeToString())
        self._watches[peer, call] = watch
        self._pending += 1
        return call

    def _forget(self, peer: Peer, call: int) -> _Watch | None:
        if peer.waits_for_headers(call):
            self._pending -= 1
        return self._watches.pop((peer, call), None)

    def _on_accepted(self, peer: Peer, call: int) -> None:
        self._pending -= 1
        self._accepted += 1

    def _on_message(self, peer: Peer, call: int, message: bytes) -> None:
        watch = self._watches.get((peer, call))
        if watch is None:
            return
        item = WatchSessionResponse.FromString(message)
        kind = item.WhichOneof("item") or "unknown"
        self._seen[kind] += 1
        match kind:
            case "event":
                event = item.event
                self._lags.append(time.time() - event.event_time.seconds - event.event_time.nanos / 1e9)
                self._seen[event.WhichOneof("payload") or ""] += 1
                self._step(watch, event.sequence, event.sequence)
            case "gap":
                self._step(watch, item.gap.from_sequence, item.gap.to_sequence)
            case "heartbeat":
                if watch.position is None:
                    watch.position = item.heartbeat.last_sequence
                self._seen["wrong heartbeat"] += item.heartbeat.last_sequence != watch.position
            case "drain":
                self._step(watch, item.drain.resume_after_sequence + 1, item.drain.resume_after_sequence)
                watch.position = item.drain.resume_after_sequence

    def _step(self, watch: _Watch, first: int, last: int) -> None:
        if watch.position is not None:
            self._seen["lost"] += max(first - watch.position - 1, 0)
            self._seen["doubled"] += max(watch.position + 1 - first, 0)
        watch.position = last

    def _on_end(self, peer: Peer, call: int, trailers: bytes) -> None:
        watch = self._forget(peer, call)
        if watch is None:
            return
        end = end_of(trailers)
        self._seen[f"status {end.status or 'none'}"] += 1
        if end.status == "0" and peer.open:
            self._open(peer, watch)  # after a drain, where it stopped
        elif len(self._ended) < _AT_ONCE:
            told: dict[str, object] = {
                "session": watch.session,
                "status": end.status,
                "reason": end.reason,
                **end.metadata,
            }
            self._ended.append(told)


async def _let_in(peers: list[Peer], size: int) -> None:
    while True:
        await asyncio.sleep(1.0)
        for peer in peers:
            peer.let_in(size)
