"""Row 17: every RPC that changes something, sent again in every way: it happens once and is answered alike (G5)."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field

import grpc
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pool import Default

from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.points.caller import calling
from tests.faults.points.deployment import Deployment, Size, deployed, prepared_ground
from tests.faults.points.failpoints import Action, Fault, Position
from tests.faults.points.flows import Scene
from tests.faults.points.mutations import MUTATIONS, Mutation, SilentStreamError
from tests.faults.points.script import SCRIPT
from tests.support.databases import DATABASES
from tests.support.rpcs import OFFERED, RPCS
from tests.support.runtime_client import refusal_of

ROW = 17
COPIES = 5
_ROUNDS = {"reduced": 1, "full": 30}
_KILLED_AT = {"reduced": (Position.AFTER,), "full": tuple(Position)}

_names = itertools.count(1)


@dataclass(slots=True)
class _Tally:
    repeats: int = 0
    eaten: int = 0
    kills: int = 0
    refused: int = 0
    violations: list[str] = field(default_factory=list)


async def row_17(size: Size, seed: int) -> Verdict:
    """Five copies at once, a repeat after the reply was lost, after a kill, and another body under the same id."""
    tally = _Tally()
    offered = {name: mutation for name, mutation in MUTATIONS.items() if mutation.rpc in OFFERED}
    untried = mutating_rpcs() - {mutation.rpc for mutation in offered.values()}
    tally.violations += [f"{rpc} changes something and is not tried" for rpc in sorted(untried)]
    async with prepared_ground() as ground:
        for kind in DATABASES:
            async with deployed(kind, ground) as deployment:
                for name in list(offered) * _ROUNDS[size]:
                    await _try_all(deployment, name, size, tally)
                tally.violations += deployment.crashes(-signal.SIGKILL)
                tally.refused += (await deployment.model.counts())["refused"]
    tried = len(offered) * len(DATABASES) * _ROUNDS[size]
    measures = (
        Measure("mutations", len(offered)),
        Measure("copies", tally.repeats, at_least=COPIES * tried),
        Measure("eaten_replies", tally.eaten, at_least=tried),
        Measure("refused_by_model", tally.refused, at_most=0, at_least=0),
        Measure("kills", tally.kills, at_least=tried),
    )
    return Verdict(ROW, seed, measures, tuple(tally.violations))


def mutating_rpcs() -> set[str]:
    """The RPCs of this release that the contract does not call free of side effects."""
    pool = Default()
    found = set()
    for rpc in RPCS:
        method = pool.FindMethodByName(rpc.path.strip("/").replace("/", "."))
        level = method.GetOptions().idempotency_level
        if rpc.name in OFFERED and level != descriptor_pb2.MethodOptions.NO_SIDE_EFFECTS:
            found.add(rpc.name)
    return found


async def _try_all(deployment: Deployment, name: str, size: Size, tally: _Tally) -> None:
    mutation = MUTATIONS[name]
    await _try(deployment, name, mutation, None, tally)
    await _try(deployment, name, mutation, Fault(mutation.step, Position.AFTER, Action.DELAY), tally)
    for position in _KILLED_AT[size]:
        await _try(deployment, name, mutation, Fault(mutation.step, position, Action.KILL), tally)


async def _try(deployment: Deployment, name: str, mutation: Mutation, fault: Fault | None, tally: _Tally) -> None:
    await deployment.model.play(*SCRIPT)
    await deployment.whole()
    session_id = f"{name}-{next(_names)}"
    where = f"{deployment.kind} {session_id} {fault or 'copies'}"
    async with calling(deployment, session_id) as caller, deployment.clients(session_id) as clients:
        scene = Scene(deployment, caller, session_id, lambda: None)
        call = await mutation.prepare(scene)
        since = deployment.board.mark()
        try:
            if fault is None:
                copies = [call(clients[n % len(clients)], False) for n in range(COPIES)]
                answers = await asyncio.gather(*copies)
                tally.repeats += len(answers)
            else:
                deployment.board.arm(fault)
                if fault.action is Action.DELAY:
                    # The client is gone before the reply: the effect is durable, and nobody was told.
                    lost = asyncio.ensure_future(call(clients[0], False))
                    await deployment.board.passed(f"{fault.step}:{fault.position}!{fault.action}", since)
                    lost.cancel()
                    await asyncio.wait({lost})
                    tally.eaten += 1
                answers = [await caller.read(lambda client: call(client, False)) for _ in range(2)]
                tally.kills += fault.action is Action.KILL and not deployment.board.disarm()
            if any(answer != answers[0] for answer in answers):
                tally.violations.append(f"G5: {where}: answered otherwise: {_first_other(answers)}")
            await _expect_refusal(where, caller.read(lambda client: call(client, True)), tally)
            effects = await caller.read(lambda client: mutation.effect(scene, client))
            if effects != 1:
                tally.violations.append(f"G5: {where}: it happened {effects} times")
        except (grpc.aio.AioRpcError, SilentStreamError, TimeoutError) as error:
            told = refusal_of(error).message if isinstance(error, grpc.aio.AioRpcError) else str(error)
            tally.violations.append(f"{where}: {type(error).__name__} {told}")
        finally:
            deployment.board.disarm()


def _first_other(answers: Sequence[object]) -> str:
    """The first two answers that differ, as far as a line goes."""
    other = next(answer for answer in answers if answer != answers[0])
    return " / ".join(" ".join(str(one).split())[-400:] for one in (answers[0], other))


async def _expect_refusal(where: str, attempt: Awaitable[object], tally: _Tally) -> None:
    """Another body under the same request id must be refused."""
    try:
        await attempt
        tally.violations.append(f"G5: {where}: another body was taken")
    except grpc.aio.AioRpcError as error:
        refusal = refusal_of(error)
        if (refusal.code, refusal.reason) != (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"):
            tally.violations.append(f"G5: {where}: another body was answered {refusal.code.name} {refusal.reason}")
