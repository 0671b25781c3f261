"""Runs every fault in every flow through a real server, and judges what a client and the model saw of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

from agent_runtime.v1 import error_reason_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, running_scripted_model
from tests.rpc.model_faults.door import Door, open_door
from tests.rpc.model_faults.faults import AWAY, FAULTS, GOES_ON, Fault
from tests.rpc.model_faults.flows import FLOWS, Flow
from tests.rpc.model_faults.person import Person
from tests.support.runtime_client import Event, RuntimeClient, connected
from tests.support.unlimited import UNLIMITED

SETTINGS = {
    "LLM_FIRST_TOKEN_TIMEOUT": "1",
    "LLM_PROGRESS_TIMEOUT": "1",
    "LLM_TOTAL_TIMEOUT": "4",
    "RESILIENCE__MODEL_RETRY_MIN_WAIT": "0.02",
    "RESILIENCE__MODEL_RETRY_MAX_WAIT": "0.1",
    # One cell must not spend another's retries, nor open the circuit for it.
    "RESILIENCE__MODEL_RETRY_FLOOR": "1000000",
    "RESILIENCE__MODEL_CIRCUIT_FAILURES": "1000000",
} | UNLIMITED
_AT_ONCE = 12
_PATIENCE = 30.0
_REASON = "ERROR_REASON_"
_DOOR = "door"


@dataclass(frozen=True, slots=True)
class Cell:
    """What became of one fault in one flow; `wrong` is empty if it was what was promised."""

    fault: str
    flow: str
    ended: str
    seconds: float
    wrong: tuple[str, ...]

    @property
    def line(self) -> str:
        """One line for people and for grep."""
        verdict = "PASS" if not self.wrong else "FAIL " + "; ".join(self.wrong)
        return f"CELL fault={self.fault!r} flow={self.flow!r} ended={self.ended} seconds={self.seconds:.1f} {verdict}"


async def run_matrix(directory: Path) -> AsyncIterator[Cell]:
    """Every cell as it ends, then those of a model that nobody listens for, then what the model judged of us."""
    cells = [(fault, flow, f"<{number}>") for number, (fault, flow) in enumerate(product(FAULTS, FLOWS))]
    plays = [play for fault, flow, token in cells for play in flow.script(fault, token)]
    async with running_scripted_model(*plays) as model, _server(directory / "matrix.db", model.url) as client:
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(fault: Fault, flow: Flow, token: str) -> Cell:
            async with places:
                return await _cell(client, fault, flow, token, GOES_ON if flow.routed else fault.ends)

        running = [asyncio.create_task(one(*cell)) for cell in cells]
        for done in asyncio.as_completed(running):
            yield await done
        yield await _judgement(model)
    async for cell in _nobody_listens(directory):
        yield cell


@asynccontextmanager
async def _server(database: Path, model_url: str) -> AsyncIterator[RuntimeClient]:
    async with (
        RuntimeProcess(f"sqlite:///{database}", model_url, SETTINGS) as process,
        connected(process.address) as client,
    ):
        yield client


async def _undisturbed(turn: Awaitable[Event]) -> Event:
    return await turn


async def _cell(
    client: RuntimeClient,
    fault: Fault,
    flow: Flow,
    token: str,
    expected: str,
    struck: Callable[[Awaitable[Event]], Awaitable[Event]] = _undisturbed,
) -> Cell:
    """The fault strikes the turn, which ends; the turn is resumed if it can be; and somebody says something new."""
    started = time.monotonic()
    session = await client.new_session(agent=None if flow.routed else flow.agent)
    person = Person(client, session.id)
    if expected != GOES_ON:
        expected = f"{expected} {_resumable(fault.resumable)}"
    wrong: list[str] = []
    ended = "nothing"
    try:
        async with asyncio.timeout(_PATIENCE):
            ended = _end_of(await struck(person.say(f"{token} fix the code of the parser")))
            if ended != expected:
                wrong.append(f"expected {expected}")
            wrong += await _aftermath(person, resumable=ended.endswith(_resumable(True)))
    except Exception as error:
        wrong.append(f"{type(error).__name__}: {error}")
    return Cell(fault.name, flow.name, ended, time.monotonic() - started, tuple(wrong))


async def _aftermath(person: Person, *, resumable: bool) -> list[str]:
    """What must hold after any end: nothing is left open, and the session goes on."""
    wrong = []
    if open_calls := await person.open_calls():
        wrong.append(f"{open_calls} calls were left open")
    if resumable and (ended := _end_of(await person.resume())) != GOES_ON:
        wrong.append(f"resumed, the turn ended {ended}")
    if (ended := _end_of(await person.say("and now something else"))) != GOES_ON:
        wrong.append(f"the next message ended {ended}")
    return wrong


def _end_of(event: Event) -> str:
    if not event.HasField("turn_failed"):
        return GOES_ON if event.HasField("turn_completed") else str(event.WhichOneof("payload"))
    failed = event.turn_failed
    reason = error_reason_pb2.ErrorReason.Name(failed.reason).removeprefix(_REASON)
    return f"{reason} {_resumable(failed.resumable)}"


def _resumable(resumable: bool) -> str:
    return "(resumable)" if resumable else "(final)"


async def _judgement(model: ScriptedModel) -> Cell:
    """The model, which is strict about histories, has refused none; and no request is still open."""
    counts = await model.counts()
    wrong = [f"{counts[outcome]} {outcome}" for outcome in ("refused", "playing") if counts[outcome]]
    return Cell("any", "any", f"after {counts['calls']} requests", 0.0, tuple(wrong))


async def _nobody_listens(directory: Path) -> AsyncIterator[Cell]:
    """One flow at a time; the door is shut for the time of the turn, once the model has said what leads to the call."""
    refused = Fault("connection refused", AWAY, reply)
    async with (
        running_scripted_model() as model,
        open_door(model.url) as door,
        _server(directory / "door.db", door.url) as client,
    ):
        for number, flow in enumerate(FLOWS):
            token = f"<{number}>"
            await model.play(*flow.script(None, token, gate(_DOOR)))
            struck = partial(_behind_shut_door, door, model, flow.before is not None)
            # Behind it the router finds nobody, nor does the agent that the words choose.
            yield await _cell(client, refused, flow, token, AWAY, struck)
        yield await _judgement(model)


async def _behind_shut_door(door: Door, model: ScriptedModel, led_to: bool, turn: Awaitable[Event]) -> Event:
    if not led_to:
        door.shut()
        ended = await turn
    else:
        running = asyncio.ensure_future(turn)
        await model.held(_DOOR)
        door.shut(cut=False)
        await model.release(_DOOR)
        ended = await running
    await door.open()
    return ended
