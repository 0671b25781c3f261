"""Row 21: one of fifty callers on two replicas asks a hundred times as often; it gets its limit, the others all."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import grpc

from agent_runtime.v1 import input_pb2
from services.application.ports.rates import WINDOW_SECONDS
from tests.faults.harness.caller import Caller
from tests.faults.harness.verdict import Measure, Verdict, percentile
from tests.faults.harness.world import World, world
from tests.support.redis import mortal_redis
from tests.support.runtime_client import RuntimeClient, refusal_of

ROW = 21
REDUCED, FULL = 3, 125
_LIMIT = 60
_HONEST = 49
_PERIOD = 3.0  # seconds between two messages of an honest caller
_GREED = 100
_SETTINGS = {"LIMITS__WORK_PER_MINUTE": str(_LIMIT)}
# Admissions are timed where their answers arrive, which is a little later than where they are counted.
_WINDOW = WINDOW_SECONDS - 1.0
_KNOWN = 30.0  # seconds within which replicas must know of each other, or of Redis
_ENOUGH = 300


@dataclass
class Crowd:
    """Fifty callers, each with a session and a client of each replica; `admitted` are times by owner."""

    callers: dict[str, list[tuple[RuntimeClient, str]]] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    admitted: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def join(self, w: World, owner: str) -> None:
        """Adds a caller."""
        caller = Caller(w.net, owner)
        self.callers[owner] = [(caller.at(name), "") for name in w.net.names]

    async def begin(self) -> None:
        """Has everybody talk in a new session: turns cost more as a history grows, whoever floods."""
        for owner, places in self.callers.items():
            session = await places[0][0].new_session(agent="universal")
            self.callers[owner] = [(client, session.id) for client, _ in places]

    async def send(self, owner: str, *, honest: bool) -> None:
        """One message, to the next replica, and what became of it."""
        clients = self.callers[owner]
        client, session_id = clients[self.asked[owner] % len(clients)]
        self.asked[owner] += 1
        began = time.monotonic()
        try:
            await client.ask(session_id, "hi", busy_policy=input_pb2.BUSY_POLICY_QUEUE, detach=True)
        except grpc.aio.AioRpcError as error:
            reason = refusal_of(error).reason
            if reason == "RATE_LIMITED":
                return
            if reason != "QUEUE_FULL":
                self.failures.append(f"{owner} was refused: {error.code().name} {reason} {error.details()}")
        self.admitted[owner].append(time.monotonic())
        if honest:
            self.waits.append(1000 * (time.monotonic() - began))

    def forget(self) -> None:
        """What was asked and admitted so far counts no more; who limits has not forgotten it."""
        self.asked.clear()
        self.admitted.clear()
        self.waits.clear()

    def jain(self, fair: int) -> float:
        """Jain's index of what each got of what it asked for and might have: 1 if all got the same part."""
        parts = [len(self.admitted[owner]) / min(asked, fair) if asked else 1.0 for owner, asked in self.asked.items()]
        return sum(parts) ** 2 / (len(parts) * sum(part * part for part in parts))


@dataclass
class Leg:
    """What one way of counting did to a flood."""

    name: str
    measures: list[Measure] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


async def run(seconds: int, seed: int) -> Verdict:
    """Floods for so many seconds with Redis, as long while it is killed and after that, and on replicas that never had
    one: what these do is what the others do after the kill, so the reduced size leaves it out.
    """
    legs = await _with_redis(seconds)
    if seconds > REDUCED:
        legs.append(await _apart(seconds))
    return Verdict(
        ROW,
        seed,
        (Measure("owners", _HONEST + 1), *(measure for leg in legs for measure in leg.measures)),
        tuple(failure for leg in legs for failure in leg.failures),
    )


async def _apart(seconds: int) -> Leg:
    async with world(settings=_SETTINGS) as w:
        crowd = _gathered(w, "greedy")
        await _until_limit_is(_LIMIT // 2, w)
        quiet = await _flood(crowd, _quiet(seconds), greedy="")
        flooded = await _flood(crowd, seconds, greedy="greedy")
        leg = _judged("apart", crowd, "greedy", seconds)
        leg.measures.append(_slower("apart", quiet, flooded))
        return leg


async def _with_redis(seconds: int) -> list[Leg]:
    with mortal_redis() as redis:
        async with world(settings=_SETTINGS | {"REDIS_URL": redis.url}) as w:
            crowd = _gathered(w, "greedy", "surprised", "late")
            await _until_shared(w)
            quiet = await _flood(crowd, _quiet(seconds), greedy="")
            flooded = await _flood(crowd, seconds, greedy="greedy")
            shared = _judged("shared", crowd, "greedy", seconds)
            shared.measures.append(_slower("shared", quiet, flooded))
            crowd.forget()
            await _flood(crowd, seconds, greedy="surprised", meanwhile=redis.kill)
            most = _most_in_a_window(crowd.admitted["surprised"])
            # Each replica knows what it has let in before, so what may be added is what was let in unevenly.
            killed = Leg("killed", [Measure("killed_window_max", most, at_most=_LIMIT * 1.5, at_least=_LIMIT * 0.95)])
            killed.failures += crowd.failures
            await _until_limit_is(_LIMIT // 2, w)
            crowd.forget()
            await _flood(crowd, seconds, greedy="late")
            without = _judged("without", crowd, "late", seconds)
            return [shared, killed, without]


def _quiet(seconds: int) -> int:
    """How long to look at the honest alone."""
    return seconds if seconds > REDUCED else 1


def _gathered(w: World, *greedy: str) -> Crowd:
    crowd = Crowd()
    for owner in (*greedy, *(f"honest{number}" for number in range(_HONEST))):
        crowd.join(w, owner)
    return crowd


async def _flood(
    crowd: Crowd, seconds: int, *, greedy: str, meanwhile: Callable[[], None] | None = None
) -> Sequence[float]:
    """Lets everybody call, the greedy one a hundred times as often; how long honest calls took, in milliseconds."""
    crowd.forget()
    await crowd.begin()
    ends_at = time.monotonic() + seconds
    honest = [owner for owner in crowd.callers if owner.startswith("honest")]

    async def keep_sending(owner: str, first: float, every: float) -> None:
        due = time.monotonic() + first
        async with asyncio.TaskGroup() as sent:
            while due < ends_at:
                await asyncio.sleep(due - time.monotonic())
                sent.create_task(crowd.send(owner, honest=owner != greedy))
                due += every

    async with asyncio.TaskGroup() as callers:
        for number, owner in enumerate(honest):
            callers.create_task(keep_sending(owner, _PERIOD * number / len(honest), _PERIOD))
        if greedy:
            callers.create_task(keep_sending(greedy, 0.0, _PERIOD / _GREED))
        if meanwhile is not None:
            await asyncio.sleep(min(seconds, _LIMIT * _PERIOD / _GREED) / 2)  # when half of its limit is used up
            meanwhile()
    return list(crowd.waits)


def _judged(name: str, crowd: Crowd, greedy: str, seconds: int) -> Leg:
    """How much was let in, by whom it was asked for."""
    times = crowd.admitted[greedy]
    fair = _LIMIT * (1 + int(seconds // WINDOW_SECONDS))
    refused = sum(asked - len(crowd.admitted[owner]) for owner, asked in crowd.asked.items() if owner != greedy)
    return Leg(
        name,
        [
            Measure(f"{name}_asked", crowd.asked[greedy], at_least=_LIMIT * 1.5),
            Measure(f"{name}_admitted_share", len(times) / fair, at_most=1.05, at_least=0.95),
            Measure(f"{name}_window_max", _most_in_a_window(times), at_most=_LIMIT),
            Measure(f"{name}_honest_refused", refused, at_most=0, at_least=0),
            Measure(f"{name}_jain", crowd.jain(fair), at_least=0.98),
        ],
        list(crowd.failures),
    )


def _slower(name: str, quiet: Sequence[float], flooded: Sequence[float]) -> Measure:
    """What the flood did to the others' longest waits; of few of them that says nothing."""
    ratio = percentile(flooded, 0.99) / percentile(quiet, 0.99)
    enough = len(quiet) >= _ENOUGH
    return Measure(f"{name}_honest_p99_ratio", ratio, at_most=1.2 if enough else None, timed=True)


def _most_in_a_window(times: Sequence[float]) -> int:
    ordered = sorted(times)
    return max((sum(start <= each < start + _WINDOW for each in ordered) for start in ordered), default=0)


async def _until_limit_is(limit: int, w: World) -> None:
    """Waits until every replica tells this limit to somebody new."""
    async with asyncio.timeout(_KNOWN):
        for number, name in enumerate(w.net.names):
            while await _said(Caller(w.net, f"new{number}").at(name), "limit") != limit:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.2)


async def _until_shared(w: World) -> None:
    """Waits until what one replica has counted shows at the others."""
    probes = 0
    async with asyncio.timeout(_KNOWN):
        while True:
            probes += 1
            left = [await _said(Caller(w.net, f"probe{probes}").at(name), "remaining") for name in w.net.names]
            if left == [_LIMIT - 1 - number for number in range(len(left))]:
                return
            await asyncio.sleep(0.2)


async def _said(client: RuntimeClient, what: str) -> int:
    """What a replica says of the limit after one more message."""
    call = client.send("nowhere", "hi")
    await call.code()
    return int(str(dict(await call.trailing_metadata() or ())[f"ratelimit-{what}"]))
