"""Row 2: every durable step of every flow, with every fault before, inside and after it, on both databases."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import grpc

from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.points.caller import calling
from tests.faults.points.deployment import Deployment, Ground, Size, deployed, prepared_ground
from tests.faults.points.failpoints import Action, Fault, Position
from tests.faults.points.flows import FLOWS, Scene
from tests.faults.points.judge import flaws_of
from tests.faults.points.keeping import as_json, directory_of, keep
from tests.faults.points.script import SCRIPT
from tests.support.databases import DATABASES
from tests.support.runtime_client import Event, kinds, refusal_of

ROW = 2
_FLOW_SECONDS = 90.0  # longer than any flow takes, with all that its callers wait for
REDUCED_CELLS = 30  # of each database

# Every durable step there is; one that is missing here, or is never reached, fails the row.
STEPS = frozenset(
    {
        "session_store.create",
        "accept.UserMessage",
        "accept.ToolResults",
        "accept.ApprovalDecision",
        "accept.FollowupAnswer",
        "accept.Resume",
        "withdraw_input",
        "model.call",
        "model.first_words",
        "log_writer.send",
        "take_route",
        "take_answer",
        "take_model_failure",
        "begin_summary",
        "take_summary",
        "ask_shorter",
        "fail_before_call",
        "cancel_turn",
        "delete_session",
        "update_session",
        "switch_agent",
        "reset_agent",
        "clear_messages",
        "deactivate_session",
        "activate_session",
        "approval_rule_store.create",
        "approval_rule_store.delete",
        "wait_expiry",
        "recover_turn",
        "running_turns",
        "leases.register",
        "leases.renew",
        "leases.end",
        "outbox_store.delivered",
        "signing_keys.signing_key",
        "watches.change",
        "watches.forget_the_dead",
        "housekeeping.compact",
        "housekeeping.forget_requests",
        "housekeeping.forget_deleted_sessions",
        "housekeeping.forget_audit_records",
    }
)
# Steps that belong to no flow in particular, and the flows into which their faults are put instead.
_STARTING = frozenset(
    {"leases.register", "leases.end", "signing_keys.signing_key", "watches.forget_the_dead"}
    | {step for step in STEPS if step.startswith("housekeeping.")}
)
_TICKING = frozenset({"leases.renew", "outbox_store.delivered", "watches.change"})
# What a flow is told that wanted to end a turn, or a wait, that has failed before.
_TOO_LATE = ("TURN_NOT_ACTIVE", "INPUT_NOT_FOUND")
_ONLY_ON_POSTGRESQL = frozenset({"watches.change", "watches.forget_the_dead", "leases.renew"})

_names = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Cell:
    """One fault in one flow."""

    flow: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.flow}/{self.fault}"


@dataclass(slots=True)
class Outcome:
    """What a cell, or a flow without a fault, has shown."""

    flaws: list[str]
    reached: list[str]
    struck: bool


# What happened and is reported as failed, where a turn goes on behind it: nothing else tells how it is found out.
_ALWAYS = frozenset(
    Cell(flow, Fault(step, Position.AFTER, Action.UNAVAILABLE))
    for flow, step in (("routed", "take_route"), ("text", "log_writer.send"), ("tool", "accept.ToolResults"))
)


async def row_02(size: Size, seed: int) -> Verdict:
    """The failpoint matrix; reduced: some 50 cells, every step among them."""
    async with prepared_ground() as ground:
        parts = await asyncio.gather(*(_on(kind, ground, size, seed) for kind in DATABASES))
    cells = sum(part.cells for part in parts)
    unreached = sorted(set.intersection(*(part.unreached for part in parts)))
    violations = [flaw for part in parts for flaw in part.violations]
    violations += [f"{step} was never reached" for step in unreached]
    measures = (
        Measure("cells", cells, at_least=50 if size == "reduced" else 200),
        Measure("refused_by_model", sum(part.refused for part in parts), at_most=0, at_least=0),
        Measure("steps", len(STEPS) - len(unreached), at_least=len(STEPS)),
    )
    return Verdict(ROW, seed, measures, tuple(violations), directory_of(ROW) if violations else None)


@dataclass(slots=True)
class _Part:
    cells: int
    unreached: set[str]
    violations: list[str]
    refused: int = 0


async def _on(kind: str, ground: Ground, size: Size, seed: int) -> _Part:
    part = _Part(0, set(STEPS), [])
    for settings in _distinct(flow.settings for flow in FLOWS.values()):
        flows = [name for name, flow in FLOWS.items() if flow.settings == settings]
        async with deployed(kind, ground, settings) as deployment:
            candidates = await _discover(deployment, flows, part)
            count = len(candidates) if size == "full" else REDUCED_CELLS * len(flows) // len(FLOWS)
            for cell in sample(candidates, count, random.Random(f"{seed} {kind}")):
                outcome = await play(deployment, cell.flow, cell.fault)
                part.cells += outcome.struck
                part.violations += [f"{kind} {cell}: {flaw}" for flaw in outcome.flaws]
            # A server that cannot start says why and ends with 1 or 2.
            part.violations += deployment.crashes(-signal.SIGKILL, 0, 1, 2)
            part.refused += (await deployment.model.counts())["refused"]
    if kind == "sqlite":
        part.unreached -= _ONLY_ON_POSTGRESQL
    return part


async def _discover(deployment: Deployment, flows: Sequence[str], part: _Part) -> list[Cell]:
    """Plays the flows without a fault; the points they pass make the cells."""
    candidates: list[Cell] = []
    for name in flows:
        outcome = await play(deployment, name, None)
        part.violations += [f"{deployment.kind} {name} without a fault: {flaw}" for flaw in outcome.flaws]
        candidates += [cell for cell in cells_of(name, outcome.reached) if _can_happen(cell, deployment.kind)]
    reached = {point.partition(":")[0] for point in deployment.board.reached()}
    part.unreached -= reached
    part.violations += [f"the step {step!r} has no place in the matrix" for step in sorted(reached - STEPS)]
    return candidates


def cells_of(flow: str, reached: Sequence[str]) -> list[Cell]:
    """Every fault that can be put at the points that a flow passes: the first and the last time it comes there."""
    cells = []
    counted = Counter(point for point in reached if "!" not in point)
    for point, count in sorted(counted.items()):
        step, _, position = point.partition(":")
        if (flow, step) == ("broken", "take_answer"):
            continue  # that is where the flow puts a fault of its own
        if (step in _STARTING and flow != "restart") or (step in _TICKING and flow not in ("text", "watch")):
            continue
        # How often the log is flushed is a matter of timing; everything else comes as often each time.
        hits = {1} if step in _TICKING or step == "log_writer.send" else {1, count}
        for action, hit in itertools.product(Action, sorted(hits)):
            if (position, action) != (Position.INSIDE, Action.UNAVAILABLE):
                cells.append(Cell(flow, Fault(step, Position(position), action, hit)))
    return cells


def _can_happen(cell: Cell, kind: str) -> bool:
    """The outcome of a local COMMIT is always known, and who ends a turn for an error of ours counts on that; over a
    network the readers who were not told look for themselves.
    """
    fault = cell.fault
    unknown = fault.position is Position.AFTER and fault.action in (Action.EXCEPTION, Action.UNAVAILABLE)
    return not (kind == "sqlite" and fault.step == "running_turns" and unknown)


def sample(cells: Sequence[Cell], count: int, dice: random.Random) -> list[Cell]:
    """So many of the cells: those that must not be missing, and of the rest all steps and all actions alike."""
    left = list(cells)
    dice.shuffle(left)
    chosen = [cell for cell in left if cell in _ALWAYS]
    left = [cell for cell in left if cell not in _ALWAYS]
    steps = Counter(cell.fault.step for cell in chosen)
    actions = Counter(cell.fault.action for cell in chosen)
    while left and len(chosen) < count:
        rarest = min(left, key=lambda cell: (steps[cell.fault.step], actions[cell.fault.action]))
        left.remove(rarest)
        chosen.append(rarest)
        steps[rarest.fault.step] += 1
        actions[rarest.fault.action] += 1
    return chosen


async def play(deployment: Deployment, flow: str, fault: Fault | None) -> Outcome:
    """One session through one flow with at most one fault, then the questions that every session must stand."""
    board, model = deployment.board, deployment.model
    session_id = f"{flow}-{next(_names)}"
    await model.play(*SCRIPT)
    refused_before = (await model.counts())["refused"]
    may_fail = flow in ("broken", "failing", "full") or (fault is not None and _may_fail_turns(fault))
    copies = 2 if fault is not None and fault.action is Action.DELAY else 1
    marks: list[int] = []
    end = 0
    left: list[Fault] = []

    def arm() -> None:
        marks.append(board.mark())
        if fault is not None:
            board.arm(fault)

    forgives = fault is not None and fault.action is Action.EXCEPTION
    async with calling(deployment, f"owner-of-{session_id}", copies=copies, forgives=forgives) as caller:
        scene = Scene(deployment, caller, session_id, arm)
        flaws: list[str] = []
        log: list[Event] = []
        try:
            async with asyncio.timeout(_FLOW_SECONDS):
                await FLOWS[flow].play(scene)
            end = board.mark()
            left = board.disarm()
            if flow == "delete":
                flaws += await _flaws_of_deletion(scene)
            else:
                flaws += await _flaws_of_next_message(scene)
                log, cleared = await caller.log(session_id)
                flaws += flaws_of(caller, log, cleared)
                flaws += [] if may_fail else [f"G4: the turn failed: {reason}" for reason in _failures(log)]
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            if not (may_fail and refusal.reason in _TOO_LATE):
                flaws.append(f"refused: {refusal.code.name} {refusal.reason} {refusal.message}")
        except TimeoutError as error:
            flaws.append(f"stuck: {error}")
        reached = board.reached(marks[0], end) if marks else []
        left += board.disarm()
        struck = fault is not None and fault not in left
        # What goes on by itself may not come in time, and what comes again may not come as often each time.
        if fault is not None and not struck and fault.hit == 1 and fault.step not in _TICKING | _STARTING:
            flaws.append("the fault did not strike")
        if (await model.counts())["refused"] > refused_before:
            flaws.append("G7: the model refused a request")
        if flaws:
            keep(
                ROW,
                f"{deployment.kind}-{session_id}",
                fault=str(fault),
                flaws=flaws,
                points=reached,
                log=as_json(log),
                seen=as_json(event for _, event in sorted(caller.seen.items())),
                servers=deployment.log_tail().splitlines(),
            )
        return Outcome(flaws, reached, struck)


def _may_fail_turns(fault: Fault) -> bool:
    """An unexpected error ends a turn, and so does a model that is away; nothing else may."""
    return fault.action is Action.EXCEPTION or (fault.step.startswith("model.") and fault.action is Action.UNAVAILABLE)


def _failures(log: Sequence[Event]) -> list[str]:
    return [event.turn_failed.message for event in log if event.HasField("turn_failed")]


async def _flaws_of_next_message(scene: Scene) -> list[str]:
    """Whatever happened, the session takes the next message and the model takes its history."""
    events = await scene.say("and now?", "next")
    return [] if kinds(events)[-1] == "turn_completed" else [f"the next message ended in {kinds(events)[-1]}"]


async def _flaws_of_deletion(scene: Scene) -> list[str]:
    """The session is gone, its id stays taken, its owner goes on."""
    flaws = list(scene.caller.complaints)
    for what in (lambda client: client.session(scene.session_id), lambda client: client.log(scene.session_id)):
        try:
            await scene.caller.read(what)
            flaws.append("a deleted session is still there")
        except grpc.aio.AioRpcError as error:
            if refusal_of(error).reason != "SESSION_NOT_FOUND":
                raise
    after = Scene(scene.deployment, scene.caller, f"{scene.session_id}-after", scene.arm)
    scene.caller.seen.clear()
    await after.create()
    return flaws + await _flaws_of_next_message(after)


def _distinct(settings: Iterable[Mapping[str, str]]) -> list[Mapping[str, str]]:
    distinct: list[Mapping[str, str]] = []
    for one in settings:
        if one not in distinct:
            distinct.append(one)
    return distinct
