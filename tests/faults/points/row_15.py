"""Row 15: many callers of one session at once, over all servers: one turn at a time, one order that everybody sees."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import grpc

from agent_runtime.v1.input_pb2 import BusyPolicy
from agent_runtime.v1.session_pb2 import Session
from agent_runtime.v1.turn_event_pb2 import INPUT_DISPOSITION_QUEUED, TURN_START_CAUSE_QUEUED_INPUT
from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.points.caller import Caller, calling
from tests.faults.points.deployment import Deployment, Size, deployed, prepared_ground
from tests.faults.points.judge import flaws_of
from tests.faults.points.keeping import as_json, directory_of, keep
from tests.faults.points.linearity import Operation, violations_of_order, violations_of_reads
from tests.support.databases import DATABASES
from tests.support.runtime_client import Event, RuntimeClient, kinds, refusal_of

ROW = 15
SENDERS = 100
_ROUNDS = {"reduced": 2, "full": 50}
_OPERATIONS = {"reduced": 600, "full": 10_000}
_CLIENTS = 12
_LONGEST_QUEUE = 8
_REFUSALS: Mapping[BusyPolicy.ValueType, str] = {
    BusyPolicy.BUSY_POLICY_REJECT: "TURN_IN_PROGRESS",
    BusyPolicy.BUSY_POLICY_QUEUE: "QUEUE_FULL",
}
"""What a message is told that finds no place."""
_AGENTS = ("coder", "debug", "ask", "architect", "universal", "orchestrator")
_MIX = ("update", "update", "guarded", "switch", "send", "interrupt", "cancel", "read", "read")


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    accepted: int = 0
    busy: int = 0
    refused: int = 0
    operations: int = 0
    violations: list[str] = field(default_factory=list)


async def row_15(size: Size, seed: int) -> Verdict:
    """Bursts of 100 messages to one session, then a mixed history that must have one order."""
    tally = _Tally()
    async with prepared_ground() as ground:
        for kind in DATABASES:
            async with deployed(kind, ground) as deployment:
                for n, policy in itertools.product(range(_ROUNDS[size]), _REFUSALS):
                    await _burst(deployment, f"burst-{policy}-{n}", policy, tally)
                await _mixed(deployment, random.Random(f"{seed} {kind}"), _OPERATIONS[size] // len(DATABASES), tally)
                tally.violations += deployment.crashes()
                tally.refused += (await deployment.model.counts())["refused"]
    measures = (
        Measure("sent", tally.sent),
        Measure("accepted", tally.accepted, at_least=len(DATABASES) * len(_REFUSALS) * _ROUNDS[size]),
        Measure("answered", tally.accepted + tally.busy, at_least=tally.sent, at_most=tally.sent),
        Measure("refused_by_model", tally.refused, at_most=0, at_least=0),
        Measure("operations", tally.operations, at_least=_OPERATIONS[size] * 0.9),
    )
    return Verdict(ROW, seed, measures, tuple(tally.violations), directory_of(ROW) if tally.violations else None)


async def _burst(deployment: Deployment, session_id: str, policy: BusyPolicy.ValueType, tally: _Tally) -> None:
    """100 messages at once: each starts a turn that ends, waits for one, or is refused."""
    async with calling(deployment, session_id) as caller, deployment.clients(session_id) as clients:
        await clients[0].new_session(session_id=session_id, agent="universal")
        sends = [_message(clients[n % len(clients)], session_id, n, policy, caller) for n in range(SENDERS)]
        outcomes = await asyncio.gather(*sends)
        tally.sent += len(outcomes)
        tally.accepted += outcomes.count("turn_completed")
        tally.busy += outcomes.count(_REFUSALS[policy])
        log, cleared = await caller.log(session_id)
        flaws = flaws_of(caller, log, cleared)
        accepted = [event for event in log if event.HasField("input_accepted")]
        if len(accepted) != outcomes.count("turn_completed"):
            flaws.append(f"{len(accepted)} inputs are in the log, {outcomes.count('turn_completed')} were answered")
        flaws += [f"an unexpected end: {odd}" for odd in set(outcomes) - {"turn_completed", _REFUSALS[policy]}]
        flaws += _flaws_of_queue(log)
        ordinals = [event.message_added.message.ordinal for event in log if event.HasField("message_added")]
        if ordinals != list(range(1, len(ordinals) + 1)):
            flaws.append(f"G3: the messages are numbered {ordinals}")
        tally.violations += [f"{deployment.kind} {session_id}: {flaw}" for flaw in flaws]
        if flaws:
            keep(ROW, f"{deployment.kind}-{session_id}", flaws=flaws, outcomes=outcomes, log=as_json(log))


def _flaws_of_queue(log: Sequence[Event]) -> list[str]:
    """Never more than eight wait, and they begin in the order in which they came."""
    waiting: list[str] = []
    flaws = []
    for event in log:
        if event.input_accepted.disposition == INPUT_DISPOSITION_QUEUED:
            waiting.append(event.input_accepted.input_id)
        elif event.turn_started.cause == TURN_START_CAUSE_QUEUED_INPUT:
            if waiting[:1] != [event.turn_started.input_id]:
                flaws.append(f"the turn at {event.sequence} is not that of the message that waited longest")
            waiting = [one for one in waiting if one != event.turn_started.input_id]
        if len(waiting) > _LONGEST_QUEUE:
            flaws.append(f"{len(waiting)} messages wait at {event.sequence}")
    return flaws + [f"{len(waiting)} messages wait for ever" for _ in waiting[:1]]


async def _message(client: RuntimeClient, session_id: str, n: int, policy: BusyPolicy.ValueType, caller: Caller) -> str:
    """How the message ended: the kind of its last event, or the reason of its refusal."""
    try:
        events = await client.ask(session_id, f"message {n}", request_id=f"r-{n}", busy_policy=policy)
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
            flaws = await mix.violations()
            tally.violations += [f"{deployment.kind} {session_id}: {flaw}" for flaw in flaws]
            if flaws:
                log = as_json(await clients[0].log(session_id))
                keep(ROW, f"{deployment.kind}-{session_id}", flaws=flaws, operations=mix.done, log=log)


class _Mix:
    """One session and what its callers were told."""

    def __init__(self, clients: list[RuntimeClient], session_id: str, dice: random.Random) -> None:
        self._clients = clients
        self._session_id = session_id
        self._dice = dice
        self._version = 1
        self.done: list[tuple[str, float, float, str | Session]] = []
        self.answered = 0
        self._refusals: list[str] = []

    async def run(self, count: int) -> None:
        self._created = await self._clients[0].new_session(session_id=self._session_id, agent="universal")
        left = iter(range(count))
        await asyncio.gather(*(self._caller(left) for _ in range(_CLIENTS)))

    async def _caller(self, left: Iterator[int]) -> None:
        for n in left:
            name = self._dice.choice(_MIX)
            client = self._dice.choice(self._clients)
            called = time.monotonic()
            try:
                answer = await getattr(self, f"_{name}")(client, f"{name}-{n}")
            except grpc.aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.ABORTED, grpc.StatusCode.FAILED_PRECONDITION):
                    self._refusals.append(f"{name}-{n} was answered {error.code().name}: {error.details()}")
                    return
                answer = None  # it had no effect, and says so
            self.answered += 1
            if answer is not None:
                self.done.append((f"{name}-{n}", called, time.monotonic(), answer))

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

    async def _interrupt(self, client: RuntimeClient, name: str) -> str:
        policy = BusyPolicy.BUSY_POLICY_INTERRUPT
        await client.ask(self._session_id, name, request_id=name, detach=True, busy_policy=policy)
        return name

    async def _cancel(self, client: RuntimeClient, name: str) -> str:
        return (await client.cancel(self._session_id, "", request_id=name)).turn.id

    async def _read(self, client: RuntimeClient, name: str) -> Session:
        return await client.session(self._session_id)

    async def violations(self) -> list[str]:
        """What does not fit one order, and what was lost or done twice."""
        while (await self._clients[0].session(self._session_id)).active_turn_id:  # noqa: ASYNC110 - asked, not told
            await asyncio.sleep(0.05)
        logs = [await client.log(self._session_id) for client in self._clients]
        log, found = logs[0], list(self._refusals)
        if any(other != log for other in logs):
            found.append("two servers tell two logs")
        found += [f"G4: a turn failed at {event.sequence}" for event in log if event.HasField("turn_failed")]
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
        for name, called, answered, answer in self.done:
            if isinstance(answer, Session):
                operations.append(Operation(name, called, answered, answer.last_sequence, answer))
            elif len(places.get(answer, ())) == 1:
                operations.append(Operation(name, called, answered, places[answer][0]))
            else:
                found.append(f"G5: {name} was answered and is in the log at {places.get(answer, [])}")
        return operations
