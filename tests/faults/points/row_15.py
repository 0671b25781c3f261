"""Row 15: many callers of one session at once, over all servers: one turn at a time, one order that everybody sees."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import grpc

from agent_runtime.v1.session_pb2 import Session
from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.points.caller import Caller, calling
from tests.faults.points.deployment import DATABASES, Deployment, Size, deployed
from tests.faults.points.judge import flaws_of
from tests.faults.points.linearity import Operation, violations_of_order, violations_of_reads
from tests.support.postgres import running_postgres
from tests.support.runtime_client import Event, RuntimeClient, kinds, refusal_of

ROW = 15
SENDERS = 100
_ROUNDS = {"reduced": 3, "full": 100}
_OPERATIONS = {"reduced": 600, "full": 10_000}
_CLIENTS = 12
_AGENTS = ("coder", "debug", "ask", "architect", "universal")


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    accepted: int = 0
    busy: int = 0
    operations: int = 0
    violations: list[str] = field(default_factory=list)


async def row_15(size: Size, seed: int) -> Verdict:
    """Bursts of 100 messages to one session, then a mixed history that must have one order."""
    tally = _Tally()
    with running_postgres() as postgres:
        for kind in DATABASES:
            async with deployed(kind, postgres) as deployment:
                for n in range(_ROUNDS[size]):
                    await _burst(deployment, f"burst-{n}", tally)
                await _mixed(deployment, random.Random(f"{seed} {kind}"), _OPERATIONS[size] // len(DATABASES), tally)
                if (await deployment.model.counts())["refused"]:
                    tally.violations.append(f"G7: {kind}: the model refused a request")
    measures = (
        Measure("sent", tally.sent),
        Measure("accepted", tally.accepted, at_least=len(DATABASES) * _ROUNDS[size]),
        Measure("answered", tally.accepted + tally.busy, at_least=tally.sent, at_most=tally.sent),
        Measure("operations", tally.operations, at_least=_OPERATIONS[size] * 0.9),
    )
    return Verdict(ROW, seed, measures, tuple(tally.violations))


async def _burst(deployment: Deployment, session_id: str, tally: _Tally) -> None:
    """100 messages at once: each starts a turn that ends, or is refused because one is active."""
    async with calling(deployment, session_id) as caller, deployment.clients(session_id) as clients:
        await clients[0].new_session(session_id=session_id, agent="universal")
        sends = [_message(clients[n % len(clients)], session_id, n, caller) for n in range(SENDERS)]
        outcomes = await asyncio.gather(*sends)
        tally.sent += len(outcomes)
        tally.accepted += outcomes.count("turn_completed")
        tally.busy += outcomes.count("TURN_IN_PROGRESS")
        log, cleared = await caller.log(session_id)
        flaws = flaws_of(caller, log, cleared)
        accepted = [event for event in log if event.HasField("input_accepted")]
        if len(accepted) != outcomes.count("turn_completed"):
            flaws.append(f"{len(accepted)} inputs are in the log, {outcomes.count('turn_completed')} were answered")
        flaws += [f"an unexpected end: {odd}" for odd in set(outcomes) - {"turn_completed", "TURN_IN_PROGRESS"}]
        ordinals = [event.message_added.message.ordinal for event in log if event.HasField("message_added")]
        if ordinals != list(range(1, len(ordinals) + 1)):
            flaws.append(f"G3: the messages are numbered {ordinals}")
        tally.violations += [f"{deployment.kind} {session_id}: {flaw}" for flaw in flaws]


async def _message(client: RuntimeClient, session_id: str, n: int, caller: Caller) -> str:
    """How the message ended: the kind of its last event, or the reason of its refusal."""
    try:
        events = await client.ask(session_id, f"message {n}", request_id=f"r-{n}")
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        if refusal.reason == "TURN_IN_PROGRESS" and not refusal.metadata.get("turn_id"):
            return "TURN_IN_PROGRESS without a turn"
        return refusal.reason or refusal.code.name
    caller.saw(events)
    return kinds(events)[-1]


async def _mixed(deployment: Deployment, dice: random.Random, count: int, tally: _Tally) -> None:
    """A few sessions that everybody changes and reads; what was answered must fit the order of the log."""
    for session_id in (sessions := [f"mixed-{n}" for n in range(3)]):
        async with deployment.clients(session_id) as clients:
            mix = _Mix(clients, session_id, random.Random(dice.random()))
            await mix.run(count // len(sessions))
            tally.operations += mix.answered
            tally.violations += [f"{deployment.kind} {session_id}: {flaw}" for flaw in await mix.violations()]


class _Mix:
    """One session and what its callers were told."""

    def __init__(self, clients: list[RuntimeClient], session_id: str, dice: random.Random) -> None:
        self._clients = clients
        self._session_id = session_id
        self._dice = dice
        self._version = 1
        self._done: list[tuple[str, float, float, str | Session]] = []
        self.answered = 0

    async def run(self, count: int) -> None:
        self._created = await self._clients[0].new_session(session_id=self._session_id, agent="universal")
        left = iter(range(count))
        await asyncio.gather(*(self._caller(left) for _ in range(_CLIENTS)))

    async def _caller(self, left: Iterator[int]) -> None:
        for n in left:
            name = self._dice.choice(("update", "update", "guarded", "switch", "send", "cancel", "read", "read"))
            client = self._dice.choice(self._clients)
            called = time.monotonic()
            try:
                answer = await getattr(self, f"_{name}")(client, f"{name}-{n}")
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION):
                    raise
                answer = None  # it had no effect, and says so
            self.answered += 1
            if answer is not None:
                self._done.append((f"{name}-{n}", called, time.monotonic(), answer))

    # What each returns is the mark that its event bears in the log; a read returns what it was shown.

    async def _update(self, client: RuntimeClient, name: str) -> str:
        session = await client.update(self._session_id, title=name, request_id=name)
        self._version = max(self._version, session.version)
        return name

    async def _guarded(self, client: RuntimeClient, name: str) -> str:
        await client.update(self._session_id, title=name, expected_version=self._version, request_id=name)
        return name

    async def _switch(self, client: RuntimeClient, name: str) -> str:
        await client.switch_agent(self._session_id, self._dice.choice(_AGENTS), reason=name, request_id=name)
        return name

    async def _send(self, client: RuntimeClient, name: str) -> str:
        await client.ask(self._session_id, name, request_id=name, detach=True)
        return name

    async def _cancel(self, client: RuntimeClient, name: str) -> str:
        return (await client.cancel(self._session_id, "", request_id=name)).turn.id

    async def _read(self, client: RuntimeClient, name: str) -> Session:
        return await client.session(self._session_id)

    async def violations(self) -> list[str]:
        """What does not fit one order, and what was lost or done twice."""
        logs = [await client.log(self._session_id) for client in self._clients]
        found = ["two servers tell two logs"] if any(log != logs[0] for log in logs) else []
        log = logs[0]
        if [event.sequence for event in log] != list(range(1, len(log) + 1)):
            found.append("G2: the log is not 1..n")
        versions = [event.session_updated.version for event in log if event.HasField("session_updated")]
        if versions != list(range(2, len(versions) + 2)):
            found.append(f"an update was lost or doubled: versions {versions}")
        operations = self._operations(log, found)
        return found + violations_of_order(operations) + violations_of_reads(self._created, log, operations)

    def _operations(self, log: list[Event], found: list[str]) -> list[Operation]:
        """Each answered call with its place in the log; one without a place, or with two, is a violation."""
        places: dict[str, list[int]] = {}
        for event in log:
            for mark in (event.session_updated.title, event.agent_switched.reason, event.input_accepted.request_id):
                if mark:
                    places.setdefault(mark, []).append(event.sequence)
            if event.HasField("turn_cancelled"):
                places.setdefault(event.turn_id, []).append(event.sequence)
        operations = []
        for name, called, answered, answer in self._done:
            if isinstance(answer, Session):
                operations.append(Operation(name, called, answered, answer.last_sequence, answer))
            elif len(places.get(answer, ())) == 1:
                operations.append(Operation(name, called, answered, places[answer][0]))
            else:
                found.append(f"G5: {name} was answered and is in the log at {places.get(answer, [])}")
        return operations
