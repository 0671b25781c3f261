"""BUSY_POLICY_INTERRUPT: the turn ends where it is, and the message starts another, all at once."""

from __future__ import annotations

import asyncio

import pytest

from agent_runtime.v1 import approval_pb2, message_pb2, tool_event_pb2, turn_event_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.rpc.busy.words import INTERRUPT, QUEUE, STEER, begun, busy, history, rest_of, wait_in
from tests.rpc.flows.waits.waiting_states import STATES
from tests.support.runtime_client import RuntimeClient, kinds, refused
from tests.support.tool_turns import approvals_in, begin, follow, open_calls, payloads, results_read

IN_THE_WAY = [name for name, state in STATES.items() if not state.takes_messages]


async def test_a_running_turn_keeps_what_it_said(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Now.")))
    events = await client.ask(at.session_id, "stop, do this", busy_policy=INTERRUPT)
    assert kinds(events)[:5] == [
        "input_accepted",
        "message_added",
        "turn_cancelled",
        "message_added",
        "turn_started",
    ]
    assert events[0].input_accepted.disposition == turn_event_pb2.INPUT_DISPOSITION_STARTED
    kept = events[1].message_added.message
    assert (kept.content, kept.state) == ("half ", message_pb2.MESSAGE_STATE_INCOMPLETE)
    assert events[2].turn_id == at.turn_id
    assert events[2].turn_cancelled.cause == turn_pb2.TURN_CANCELLATION_CAUSE_INTERRUPTED
    assert events[4].turn_started.cause == turn_event_pb2.TURN_START_CAUSE_USER_MESSAGE
    assert events[-1].turn_completed.result_text == "Now."
    assert kinds(await at.stream)[-1] == "turn_cancelled"
    assert await history(client, at.session_id) == ["go", "half ", "stop, do this", "Now."]
    await model.counts("closed_early", at_least=1)


@pytest.mark.parametrize("state", IN_THE_WAY)
async def test_a_turn_that_waits_is_settled(client: RuntimeClient, model: ScriptedModel, state: str) -> None:
    session_id, events = await begin(client, model, STATES[state].answer, reply(text("Now.")))
    made = payloads(events, "message_added")[-1].message.tool_calls
    rest = await client.ask(session_id, "stop, do this", busy_policy=INTERRUPT)
    recorded = payloads(rest, "tool_result_recorded")
    assert [each.tool_call_id for each in recorded] == [each.id for each in made]
    assert {each.source for each in recorded} == {tool_event_pb2.TOOL_RESULT_SOURCE_SETTLED}
    outcomes = {each.approval_id: (each.outcome, each.released) for each in payloads(rest, "approval_resolved")}
    superseded = approval_pb2.APPROVAL_STATE_SUPERSEDED, False
    assert outcomes == {approval.id: superseded for approval in approvals_in(events).values()}
    assert rest[-1].turn_completed.result_text == "Now."
    read = await results_read(model)
    assert read.keys() == {each.id for each in made}
    assert all("superseded" in said for said in read.values())
    assert await open_calls(client, session_id) == []
    for approval in approvals_in(events).values():
        async with refused() as refusal:
            await client.decide(approval)
        assert refusal().reason == "APPROVAL_RESOLVED"


async def test_what_waits_goes_on_waiting(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Now.")), reply(text("Later.")))
    await wait_in(client, at.session_id, "later", QUEUE)
    events = await client.ask(at.session_id, "now", busy_policy=INTERRUPT)
    assert events[-1].turn_completed.result_text == "Now."
    assert (await follow(client, at.session_id, events[-1].sequence))[-1].turn_completed.result_text == "Later."
    assert await history(client, at.session_id) == ["go", "half ", "now", "Now.", "later", "Later."]


async def test_what_should_have_steered_is_said_with_the_message(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Both.")))
    accepted, stream = await begun(client, at.session_id, "and this", STEER)
    events = await client.ask(at.session_id, "now", busy_policy=INTERRUPT)
    assert events[-1].turn_completed.result_text == "Both."
    assert await history(client, at.session_id) == ["go", "half ", "now", "and this", "Both."]
    assert (await rest_of(stream))[-1] == events[-1]
    assert accepted.turn_id == at.turn_id


async def test_many_at_once_leave_one_turn_and_every_word(client: RuntimeClient, model: ScriptedModel) -> None:
    at = await busy(client, model, reply(text("Done."), repeat=True))
    words = [f"now {n}" for n in range(6)]
    await asyncio.gather(*(client.ask(at.session_id, each, busy_policy=INTERRUPT) for each in words))
    log = await client.log(at.session_id)
    assert [event.sequence for event in log] == list(range(1, len(log) + 1))
    active = 0
    for kind in kinds(log):
        active += (kind == "turn_started") - (kind in ("turn_completed", "turn_cancelled", "turn_failed"))
        assert active in (0, 1)
    assert active == 0
    said = await history(client, at.session_id)
    assert sorted(each for each in said if each.startswith("now")) == words
