"""Results, decisions, a cancel and a switch at one moment: whatever comes first, nothing happens twice (G6, G7)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import grpc
import pytest

from agent_runtime.v1 import approval_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import Event, RuntimeClient, kinds, refusal_of, text_result
from tests.support.tool_turns import approvals_in, begin, calls, command, payloads, read, write

REFUSALS = {
    *("TOOL_CALL_NOT_OPEN", "APPROVAL_RESOLVED", "TURN_NOT_ACTIVE", "TURN_IN_PROGRESS", "SAME_AGENT"),
}
IDS = ("c1", "c2", "c3", "c4", "c5")


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_comes_first_nothing_happens_twice(
    client: RuntimeClient, model: ScriptedModel, seed: int
) -> None:
    chance = random.Random(seed)
    session_id, events = await begin(
        client,
        model,
        calls(read("a", "c1"), read("b", "c2"), write("a", "c3"), write("c", "c4"), command("ls", "c5")),
        reply(text("fine"), repeat=True),
    )
    inputs: list[Coroutine[Any, Any, Any]] = [
        client.tool_results(session_id, text_result(id, f"{id} {number}")) for id in IDS for number in (1, 2)
    ]
    for approval in approvals_in(events).values():
        inputs += [client.decide(approval), client.decide(approval, approval_pb2.DECISION_REJECT)]
    inputs += [client.switch_agent(session_id, "ask"), client.ask(session_id, "and another thing")]
    inputs += [client.cancel(session_id, events[0].turn_id)] if seed % 2 else []
    chance.shuffle(inputs)
    outcomes = await asyncio.gather(*inputs, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            assert isinstance(outcome, grpc.aio.AioRpcError), outcome
            assert refusal_of(outcome).reason in REFUSALS
    turn = (await client.list_turns(session_id)).turns[0]
    if not turn.HasField("end_time"):
        with suppress(grpc.aio.AioRpcError):  # it may end by itself at this very moment
            await client.cancel(session_id, turn.id)
    assert (await client.ask(session_id, "and now?"))[-1].HasField("turn_completed")
    check_once(await client.log(session_id))


def check_once(log: list[Event]) -> None:
    """Every call is ordered at most once and has one result, every approval one end, every number is there."""
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    recorded = Counter(each.tool_call_id for each in payloads(log, "tool_result_recorded"))
    assert recorded == Counter(IDS)
    order = Counter(each.id for payload in payloads(log, "tool_calls_requested") for each in payload.calls)
    assert set(order.values()) == {1}
    resolved = {each.tool_call_id: each for each in payloads(log, "approval_resolved")}
    assert len(resolved) == kinds(log).count("approval_resolved") == kinds(log).count("approval_requested")
    assert {id for id in order if id in resolved} <= {id for id, each in resolved.items() if each.released}
    messages = Counter(each.message.tool_call_id for each in payloads(log, "message_added"))
    assert all(messages[id] == 1 for id in IDS)
