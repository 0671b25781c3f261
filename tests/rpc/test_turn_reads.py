"""Reading turns: each state with what belongs to it, their list, and what they cost."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from agent_runtime.v1 import error_reason_pb2, message_service_pb2, turn_pb2, usage_pb2
from devtools.scripted_model import ScriptedModel, Usage, call, gate, refusal, reply, text, tool_calls
from tests.support.runtime_client import RuntimeClient, every_page, refused

RUNNING, COMPLETED = turn_pb2.TURN_STATE_RUNNING, turn_pb2.TURN_STATE_COMPLETED
FAILED, CANCELLED = turn_pb2.TURN_STATE_FAILED, turn_pb2.TURN_STATE_CANCELLED


async def test_a_running_turn_and_the_same_one_completed(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("half "), gate("go"), text("whole")))
    session = await client.new_session(agent="universal")
    asking = asyncio.ensure_future(client.ask(session.id, "go"))
    await model.held("go")
    turn_id = (await client.session(session.id)).active_turn_id
    running = (await client.turn(session.id, turn_id)).turn
    assert (running.id, running.session_id, running.state) == (turn_id, session.id, RUNNING)
    assert (running.agent, running.model_calls, running.tool_calls) == ("universal", 1, 0)
    assert running.input_id
    assert not running.HasField("end_time")
    assert (running.result_text, running.finish_reason) == ("", turn_pb2.FINISH_REASON_UNSPECIFIED)
    await model.release("go")
    events = await asking
    done = (await client.turn(session.id, turn_id)).turn
    assert (done.state, done.result_text, done.finish_reason) == (COMPLETED, "half whole", turn_pb2.FINISH_REASON_STOP)
    assert done.input_id == running.input_id == events[0].input_accepted.input_id
    assert done.final_message_id == events[-1].turn_completed.final_message_id
    assert done.usage == events[-1].turn_completed.usage
    assert done.create_time == running.create_time
    assert done.end_time.ToNanoseconds() > done.create_time.ToNanoseconds()
    assert not done.HasField("failure")
    assert not done.HasField("cancellation")


async def test_a_turn_knows_how_long_it_has_worked(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    turn_id = (await client.ask(session.id, "hello"))[0].turn_id
    turn = (await client.turn(session.id, turn_id)).turn
    span = turn.end_time.ToNanoseconds() - turn.create_time.ToNanoseconds()
    assert 0 < turn.running_time.ToNanoseconds() <= span


async def test_a_failed_turn_says_what_its_event_said(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(refusal(503, retry_after="7"))
    session = await client.new_session(agent="universal")
    event = (await client.ask(session.id, "go"))[-1]
    turn = (await client.turn(session.id, event.turn_id)).turn
    assert turn.state == FAILED
    assert turn.failure.reason == event.turn_failed.reason == error_reason_pb2.ERROR_REASON_LLM_UNAVAILABLE
    assert turn.failure.resumable is event.turn_failed.resumable is True
    assert turn.failure.message == event.turn_failed.message != ""
    assert turn.failure.retry_delay == event.turn_failed.retry_delay
    assert turn.failure.retry_delay.ToSeconds() == 7
    assert turn.HasField("end_time")


async def test_a_cancelled_turn_says_by_whom(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(gate("never")))
    session = await client.new_session(agent="universal")
    (accepted,) = await client.ask(session.id, "go", detach=True)
    cancelled = (await client.cancel(session.id, accepted.turn_id)).turn
    turn = (await client.turn(session.id, accepted.turn_id)).turn
    assert turn == cancelled
    assert (turn.state, turn.cancellation.cancelled_by) == (CANCELLED, "dev")
    assert turn.cancellation.cause == turn_pb2.TURN_CANCELLATION_CAUSE_USER


async def test_cancelling_without_an_id_ends_whichever_turn_is_active(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(gate("never")))
    session = await client.new_session(agent="universal")
    async with refused() as refusal:
        await client.cancel(session.id, "")
    assert (refusal().reason, refusal().metadata) == ("TURN_NOT_ACTIVE", {})
    (accepted,) = await client.ask(session.id, "go", detach=True)
    cancelled = (await client.cancel(session.id, "", request_id="r-1")).turn
    assert (cancelled.id, cancelled.state) == (accepted.turn_id, CANCELLED)
    assert (await client.cancel(session.id, "", request_id="r-1")).turn == cancelled


async def test_a_repeated_cancel_never_cancels_a_later_turn(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(gate("never")), reply(gate("go"), text("done")))
    session = await client.new_session(agent="universal")
    (first,) = await client.ask(session.id, "one", detach=True)
    await client.cancel(session.id, "", request_id="r-1")
    (second,) = await client.ask(session.id, "two", detach=True)
    assert (await client.cancel(session.id, "", request_id="r-1")).turn.id == first.turn_id
    assert (await client.turn(session.id, second.turn_id)).turn.state == RUNNING
    async with refused() as refusal:
        await client.cancel(session.id, first.turn_id)
    assert (refusal().reason, refusal().metadata) == ("TURN_NOT_ACTIVE", {"turn_id": second.turn_id})
    await model.release("go")


async def test_turns_are_listed_newest_first_by_state_and_in_pages(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("one")), refusal(500), reply(gate("never")), reply(gate("wait"), text("four")))
    session = await client.new_session(agent="universal")
    assert list((await client.list_turns(session.id)).turns) == []
    await client.ask(session.id, "one")
    await client.ask(session.id, "two")
    (third,) = await client.ask(session.id, "three", detach=True)
    await client.cancel(session.id, third.turn_id)
    (fourth,) = await client.ask(session.id, "four", detach=True)
    turns = list((await client.list_turns(session.id)).turns)
    assert [turn.state for turn in turns] == [RUNNING, CANCELLED, FAILED, COMPLETED]
    assert turns[0].id == fourth.turn_id
    for turn in turns:
        assert list((await client.list_turns(session.id, states=[turn.state])).turns) == [turn]
        assert (await client.turn(session.id, turn.id)).turn == turn
    assert len((await client.list_turns(session.id, states=[RUNNING, FAILED, turn_pb2.TURN_STATE_PAUSED])).turns) == 2
    for page_size in range(1, 6):
        pages = await every_page(
            lambda token, size=page_size: client.list_turns(session.id, page_size=size, page_token=token)  # type: ignore[misc]
        )
        assert [turn for page in pages for turn in page.turns] == turns
        assert all(0 < len(page.turns) <= page_size for page in pages)
    await model.release("wait")


async def test_the_usage_of_a_turn_is_the_sum_of_its_answers(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(
        reply(
            tool_calls(call("no_such_tool", {"path": "x"})),
            usage=Usage(prompt_tokens=100, completion_tokens=10, cached_tokens=40),
        ),
        reply(text("done"), usage=Usage(prompt_tokens=200, completion_tokens=20, reasoning_tokens=5)),
    )
    session = await client.new_session(agent="universal")
    events = await client.ask(session.id, "go")
    reported = [event.usage_reported for event in events if event.HasField("usage_reported")]
    assert [report.usage.prompt_tokens for report in reported] == [100, 200]
    assert {report.model for report in reported} == {"scripted"}
    turn = (await client.turn(session.id, events[0].turn_id)).turn
    whole = usage_pb2.Usage(prompt_tokens=300, completion_tokens=30, cached_tokens=40, reasoning_tokens=5)
    assert turn.usage == events[-1].turn_completed.usage == whole
    assert (turn.model_calls, turn.tool_calls) == (2, 1)


async def test_usage_nobody_reported_is_estimated_and_says_so(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("some words"), send_usage=False))
    session = await client.new_session(agent="universal")
    usage = (await client.ask(session.id, "go"))[-1].turn_completed.usage
    assert usage.estimated
    assert usage.prompt_tokens > 0
    assert usage.completion_tokens > 0


@pytest.mark.parametrize("turn_id", ["turn_nobody_knows", "x" * 128, "'; --", "Ж"])
async def test_a_turn_nobody_knows_is_not_found(client: RuntimeClient, turn_id: str) -> None:
    session = await client.new_session(agent="universal")
    for attempt in (client.turn(session.id, turn_id), client.cancel(session.id, turn_id)):
        async with refused() as refusal:
            await attempt
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.NOT_FOUND, "TURN_NOT_FOUND")


async def test_no_tool_calls_are_open(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "hello")
    request = message_service_pb2.ListOpenToolCallsRequest(session_id=session.id)
    answer = await client.messages.ListOpenToolCalls(request, metadata=client.metadata)
    assert (list(answer.open_tool_calls), answer.next_page_token) == ([], "")
