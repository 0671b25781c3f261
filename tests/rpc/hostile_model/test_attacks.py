"""Every attack in every place of a turn, against one who approves all they are asked and one who approves nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from agent_runtime.v1 import approval_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import Reply, ScriptedModel, running_scripted_model
from tests.rpc.conftest import assert_no_surprise
from tests.rpc.hostile_model.attacks import attacks
from tests.rpc.hostile_model.judge import tools_by_agent, wrongs
from tests.rpc.hostile_model.victim import Victim
from tests.rpc.model_faults.faults import GOES_ON, Fault
from tests.rpc.model_faults.flows import FLOWS, Flow
from tests.support.runtime_client import RuntimeClient, connected
from tests.support.unlimited import UNLIMITED

APPROVE, REJECT = approval_pb2.DECISION_APPROVE, approval_pb2.DECISION_REJECT
ATTACKS = dict(attacks())
AGENTS = tuple(Flow(f"as {agent}", agent=agent) for agent in ("ask", "architect"))
PLACES = (*FLOWS, *AGENTS)
_PATIENCE = 30.0
_LARGE = 100_000
_SETTINGS = {"RESILIENCE__MODEL_ATTEMPTS": "1", "RESILIENCE__MODEL_CIRCUIT_FAILURES": "1000000"} | UNLIMITED


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[ScriptedModel]:
    async with running_scripted_model() as running:
        yield running


@pytest.fixture(scope="module")
async def runtime(model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RuntimeProcess]:
    database = tmp_path_factory.mktemp("hostile") / "runtime.db"
    async with RuntimeProcess(f"sqlite:///{database}", model.url, _SETTINGS) as process:
        yield process
        assert_no_surprise(process)


@pytest.fixture
async def client(runtime: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    async with connected(runtime.address) as connection:
        yield connection


def _plays(attack: Reply, place: Flow, token: str) -> list[Reply]:
    """What leads to the attack, the attack, and then the best of manners."""
    return place.script(Fault("", GOES_ON, broken=lambda _: attack), token)


def _cells(attack: str) -> Iterator[tuple[Flow, approval_pb2.Decision.ValueType, str]]:
    # What is large is large everywhere; it is tried where it means most.
    places = PLACES if len(repr(ATTACKS[attack])) < _LARGE else FLOWS[:3]
    yield from ((place, APPROVE, f"<{number}>") for number, place in enumerate(places))
    yield from ((place, REJECT, f"<no {number}>") for number, place in enumerate(FLOWS[:3]))


@pytest.mark.parametrize("attack", ATTACKS)
async def test_nothing_runs_that_may_not_and_the_session_works_afterwards(
    client: RuntimeClient, model: ScriptedModel, attack: str
) -> None:
    cells = list(_cells(attack))
    await model.play(*(play for place, _, token in cells for play in _plays(ATTACKS[attack], place, token)))
    tools = await tools_by_agent(client)

    async def cell(place: Flow, decision: approval_pb2.Decision.ValueType, token: str) -> list[str]:
        session = await client.new_session(agent=place.agent)
        victim = Victim(client, session.id, decision)
        try:
            async with asyncio.timeout(_PATIENCE):
                await victim.say(f"{token} fix the code of the parser")
                found = wrongs(await client.log(session.id), tools)
                after = await victim.say("and now something else")
                found += [] if after.HasField("turn_completed") else [f"the next message ended {after}"]
        except Exception as error:
            found = [f"{type(error).__name__}: {error}"]
        return [f"{place.name}, {approval_pb2.Decision.Name(decision)}: {wrong}" for wrong in found]

    found = await asyncio.gather(*(cell(*each) for each in cells))
    assert [wrong for each in found for wrong in each] == []
    assert (await model.counts())["refused"] == 0, "every history was valid"
