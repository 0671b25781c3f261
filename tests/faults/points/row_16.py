"""Row 16: many people decide about one approval at once, while it expires, is cancelled, or is shown otherwise."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable
from dataclasses import dataclass, field

import grpc

from agent_runtime.v1 import approval_pb2
from agent_runtime.v1.approval_pb2 import Approval, Decision
from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.points.caller import Caller, calling
from tests.faults.points.deployment import Deployment, Size, deployed, prepared_ground
from tests.faults.points.flows import EXPIRY, Scene
from tests.faults.points.judge import flaws_of
from tests.faults.points.keeping import as_json, directory_of, keep
from tests.support.databases import DATABASES
from tests.support.runtime_client import Event, RuntimeClient, kinds, refusal_of

ROW = 16
DECIDERS = 20
_ROUNDS = {"reduced": 6, "full": 160}  # of each race, on each database
_MUTATIONS = {"reduced": 60, "full": 1000}
_RACE_SECONDS = 30.0
_ENOUGH = 10
_RELEASING = (approval_pb2.APPROVAL_STATE_APPROVED, approval_pb2.APPROVAL_STATE_APPROVED_WITH_EDITS)
_RESTING = ("turn_paused", "turn_completed", "turn_failed", "turn_cancelled")
_TOO_LATE = ("APPROVAL_RESOLVED", "TURN_NOT_ACTIVE")


@dataclass(slots=True)
class _Tally:
    approvals: int = 0
    decisions: int = 0
    executed: int = 0
    mutations: int = 0
    refused: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one decider said and was told: the approval as answered, or the reason of the refusal."""

    decision: Decision.ValueType
    edited: str
    approval: Approval | None
    reason: str = ""


async def row_16(size: Size, seed: int) -> Verdict:
    """20 deciders at once over all servers: each approval is decided once, its call runs at most once, as decided."""
    tally = _Tally()
    async with prepared_ground() as ground:
        for kind in DATABASES:
            dice = random.Random(f"{seed} {kind}")
            async with deployed(kind, ground) as deployment:
                for n in range(_ROUNDS[size]):
                    for race in ("decide", "edit", "cancel"):
                        await _bounded(deployment, f"{race}-{n}", race, dice, tally)
                await _mutate(deployment, dice, _MUTATIONS[size] // len(DATABASES), tally)
                tally.violations += deployment.crashes()
                tally.refused += (await deployment.model.counts())["refused"]
            async with deployed(kind, ground, EXPIRY) as deployment:
                for n in range(_ROUNDS[size]):
                    await _bounded(deployment, f"expire-{n}", "expire", dice, tally)
                tally.violations += deployment.crashes()
                tally.refused += (await deployment.model.counts())["refused"]
    rounds = len(DATABASES) * _ROUNDS[size] * 4
    measures = (
        Measure("approvals", tally.approvals, at_least=rounds),
        Measure("decisions", tally.decisions),
        Measure("executed", tally.executed),
        Measure("refused_by_model", tally.refused, at_most=0, at_least=0),
        Measure("outcomes", len(tally.outcomes), at_least=4),
        Measure("mutations", tally.mutations, at_least=_MUTATIONS[size]),
    )
    return Verdict(ROW, seed, measures, tuple(tally.violations), directory_of(ROW) if tally.violations else None)


async def _bounded(deployment: Deployment, session_id: str, race: str, dice: random.Random, tally: _Tally) -> None:
    """One race, if nothing more has gone wrong than a report can hold."""
    if len(tally.violations) > _ENOUGH:
        return
    try:
        async with asyncio.timeout(_RACE_SECONDS):
            await _race(deployment, session_id, race, dice, tally)
    except (grpc.aio.AioRpcError, TimeoutError) as error:
        tally.violations.append(f"G4: {deployment.kind} {session_id} came to no end: {error!r}"[:300])


async def _race(deployment: Deployment, session_id: str, race: str, dice: random.Random, tally: _Tally) -> None:
    async with calling(deployment, session_id) as caller, deployment.clients(session_id) as clients:
        scene = Scene(deployment, caller, session_id, lambda: None)
        approval = await _pending(scene)
        gate = asyncio.Event()
        wait = max(approval.expire_time.ToNanoseconds() / 1e9 - time.time(), 0.0) if race == "expire" else 0.0
        said = [
            asyncio.create_task(_decide(gate, clients[n % len(clients)], approval, n, race, _delay(race, wait, dice)))
            for n in range(DECIDERS)
        ]
        cancels = [asyncio.create_task(_cancel(gate, client, session_id)) for client in clients if race == "cancel"]
        gate.set()
        answers = await asyncio.gather(*said)
        cancelled = await asyncio.gather(*cancels)
        if race == "expire":
            await asyncio.sleep(0.7)  # whoever decided nothing, time has decided by now
        await scene.finish(await _at_rest(caller, session_id))
        if kinds(await scene.say("and now?", "next"))[-1] != "turn_completed":
            tally.violations.append(f"{session_id}: the next message failed")
        log, _ = await caller.log(session_id)
        flaws = flaws_of(caller, log, 0) + _flaws_of_race(approval, answers, log, cancelled)
        tally.violations += [f"{deployment.kind} {session_id}: {flaw}" for flaw in flaws]
        if flaws:
            keep(ROW, f"{deployment.kind}-{session_id}", flaws=flaws, answers=answers, log=as_json(log))
        tally.approvals += 1
        tally.decisions += len(answers)
        tally.executed += len(caller.executed)
        tally.outcomes.update(
            approval_pb2.ApprovalState.Name(event.approval_resolved.outcome)
            for event in log
            if event.HasField("approval_resolved")
        )


async def _pending(scene: Scene) -> Approval:
    await scene.create()
    events = await scene.say("go [approval]")
    approval_id = events[-1].turn_paused.pending_approval_ids[0]
    return await scene.caller.read(lambda client: client.approval(scene.session_id, approval_id))


async def _at_rest(caller: Caller, session_id: str) -> list[Event]:
    """The log once its turn waits or has ended: a decision is answered before the turn goes on."""
    while True:
        log, _ = await caller.log(session_id)
        if kinds(log)[-1] in _RESTING:
            return log
        await asyncio.sleep(0.02)


def _delay(race: str, wait: float, dice: random.Random) -> float:
    """At once, or around the time at which the approval expires and somebody notices."""
    return max(wait + dice.uniform(-0.05, 0.6), 0.0) if race == "expire" else 0.0


async def _decide(
    gate: asyncio.Event, client: RuntimeClient, approval: Approval, n: int, race: str, delay: float
) -> _Said:
    """Approves or rejects, in turns; in the race of edits each with a command of its own."""
    decision = approval_pb2.DECISION_APPROVE if n % 4 < 2 else approval_pb2.DECISION_REJECT
    edited = ""
    if race == "edit" and n % 2:
        decision, edited = approval_pb2.DECISION_APPROVE_WITH_EDITS, json.dumps({"command": f"make test{n}"})
    await gate.wait()
    await asyncio.sleep(delay)
    try:
        answer = await client.decide(approval, decision, request_id=f"decide-{n}", edited_arguments_json=edited)
    except grpc.aio.AioRpcError as error:
        return _Said(decision, edited, None, refusal_of(error).reason or error.code().name)
    return _Said(decision, edited, answer.approval)


async def _cancel(gate: asyncio.Event, client: RuntimeClient, session_id: str) -> str:
    await gate.wait()
    try:
        await client.cancel(session_id, "")
    except grpc.aio.AioRpcError as error:
        return refusal_of(error).reason
    return "cancelled"


def _flaws_of_race(approval: Approval, answers: list[_Said], log: list[Event], cancelled: list[str]) -> list[str]:
    """One outcome, which all who were answered were told, and the call as that outcome has it, or not at all."""
    resolved = [event.approval_resolved for event in log if event.HasField("approval_resolved")]
    if len(resolved) != 1:
        return [f"G6: the approval was resolved {len(resolved)} times"]
    outcome = resolved[0]
    flaws = [f"an unexpected refusal: {said.reason}" for said in answers if said.reason not in ("", *_TOO_LATE)]
    told = [said.approval for said in answers if said.approval is not None]
    flaws += [
        f"G6: a decider was told {one.state}, and it is {outcome.outcome}"
        for one in told
        if one.state != outcome.outcome
    ]
    winners = {(said.decision, said.edited) for said in answers if said.approval is not None}
    if len(winners) > 1:
        flaws.append(f"G6: {len(winners)} different decisions were taken")
    by_person = outcome.outcome not in (
        approval_pb2.APPROVAL_STATE_EXPIRED,
        approval_pb2.APPROVAL_STATE_CANCELLED,
    )
    if by_person != bool(winners):
        flaws.append(f"G6: the outcome is {outcome.outcome}, and {len(winners)} decisions were taken")
    ordered = [call for event in log for call in event.tool_calls_requested.calls]
    if outcome.released != (outcome.outcome in _RELEASING) or (ordered and not outcome.released):
        flaws.append("G6: a call ran that nobody released")
    if outcome.released and len(ordered) != 1:
        flaws.append(f"G6: the released call was ordered {len(ordered)} times")
    if "cancelled" in cancelled and not any(event.HasField("turn_cancelled") for event in log):
        flaws.append("G5: a cancel was answered and did not happen")
    decided = next(iter(winners), (0, ""))[1] or approval.arguments_json
    flaws += [
        f"G6: ordered with {call.arguments_json}, decided on {decided}"
        for call in ordered
        if call.arguments_json != decided
    ]
    return flaws


async def _mutate(deployment: Deployment, dice: random.Random, count: int, tally: _Tally) -> None:
    """Decisions about something else than what was shown: each is refused, and the approval waits on."""
    async with calling(deployment, "mutations") as caller, deployment.clients("mutations") as clients:
        scene = Scene(deployment, caller, "mutations", lambda: None)
        approval = await _pending(scene)
        before, _ = await caller.log(scene.session_id)
        attempts: list[Awaitable[str]] = []
        for n in range(count):
            wrong = _wrong_hash(approval.arguments_hash, dice) if n % 2 else approval.arguments_hash
            edits = "" if n % 2 else _wrong_edits(dice)
            attempts.append(_attempt(dice.choice(clients), approval, wrong, edits))
        for start in range(0, count, 20):
            for reason in await asyncio.gather(*attempts[start : start + 20]):
                tally.mutations += 1
                if reason not in ("ARGUMENTS_HASH_MISMATCH", "INVALID_ARGUMENT"):
                    tally.violations.append(f"{deployment.kind}: a mutated decision was answered {reason}")
        after, _ = await caller.log(scene.session_id)
        now = await caller.read(lambda client: client.approval(scene.session_id, approval.id))
        if after != before or now.state != approval_pb2.APPROVAL_STATE_PENDING:
            tally.violations.append(f"{deployment.kind}: a refused decision had an effect")
        await scene.finish(after)
        tally.violations += [
            f"{deployment.kind} mutations: {flaw}" for flaw in flaws_of(caller, (await caller.log("mutations"))[0], 0)
        ]


async def _attempt(client: RuntimeClient, approval: Approval, wrong: str, edits: str) -> str:
    decision = approval_pb2.DECISION_APPROVE_WITH_EDITS if edits else approval_pb2.DECISION_APPROVE
    try:
        await client.decide(approval, decision, arguments_hash=wrong, edited_arguments_json=edits)
    except grpc.aio.AioRpcError as error:
        return refusal_of(error).reason or error.code().name
    return "OK"


def _wrong_hash(right: str, dice: random.Random) -> str:
    """The hash with one thing changed: a character, its length, its case, its surroundings."""
    place = dice.randrange(len(right))
    other = dice.choice([character for character in "0123456789abcdef" if character != right[place]])
    return dice.choice(
        (
            right[:place] + other + right[place + 1 :],
            right[:-1],
            right + other,
            right.upper() + "A",
            other * len(right),
            "",
        )
    )


def _wrong_edits(dice: random.Random) -> str:
    """Arguments that must not run: no JSON, no object, no command, doubled keys, numbers that JSON has not."""
    return dice.choice(
        (
            "{",
            "[]",
            "null",
            "{}",
            '{"command": 1}',
            '{"command": ""}',
            '{"command": "a", "command": "b"}',
            '{"command": "a", "timeout": NaN}',
            '{"command": "a", "unknown": true}',
            '{"comand": "make"}',
            '"make"',
            '{"command": "a"} {}',
        )
    )
