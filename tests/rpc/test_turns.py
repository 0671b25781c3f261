"""How turns end: by themselves, by a person, by a fault of the model, and by a crash of the server (G3, G4)."""

from __future__ import annotations

import asyncio

from agent_runtime.v1 import error_reason_pb2, message_pb2, turn_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import (
    ScriptedModel,
    call,
    fault,
    gate,
    refusal,
    reply,
    running_scripted_model,
    text,
    tool_calls,
)
from tests.support.runtime_client import RuntimeClient, connected, kinds, read_rest, read_until, refused, said, text_of


async def test_cancel_stops_the_turn_and_the_request_to_the_model(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("so far so good "), gate("never"), text("not this")))
    session = await client.new_session(agent="universal")
    sender = client.send(session.id, "go")
    turn_id = (await read_until(sender, said("so far so good ")))[0].turn_id
    cancelled = (await client.cancel(session.id, turn_id)).turn
    assert (await model.counts("closed_early", at_least=1))["closed_early"] == 1
    rest = [item.event for item in await read_rest(sender)]
    assert kinds(rest) == ["message_added", "turn_cancelled"]
    assert rest[0].message_added.message.content == "so far so good "
    assert rest[0].message_added.message.state == message_pb2.MESSAGE_STATE_INCOMPLETE
    assert cancelled.state == (await client.turn(session.id, turn_id)).turn.state == turn_pb2.TURN_STATE_CANCELLED
    async with refused() as refusal:
        await client.cancel(session.id, turn_id)
    assert refusal().reason == "TURN_NOT_ACTIVE"


async def test_a_cancelled_session_takes_the_next_message(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(gate("never")), reply(text("hello again")))
    session = await client.new_session(agent="universal")
    accepted = await client.ask(session.id, "go", detach=True)
    await model.held("never")
    await client.cancel(session.id, accepted[0].turn_id)
    events = await client.ask(session.id, "hello?")
    assert text_of(events) == "hello again"


async def test_a_failing_model_fails_the_turn_with_a_reason_and_the_session_goes_on(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(refusal(500), reply(text("back again")))
    session = await client.new_session(agent="universal")
    failed = (await client.ask(session.id, "hello?"))[-1].turn_failed
    assert failed.reason == error_reason_pb2.ERROR_REASON_LLM_UNAVAILABLE
    assert failed.resumable
    assert text_of(await client.ask(session.id, "and now?")) == "back again"
    assert (await model.counts())["refused"] == 0


async def test_text_before_a_fault_is_kept_and_marked_incomplete(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(
        reply(text("half an answer is better than none " * 4, chunk_delay=0.01), fault=fault.reset_after(1500))
    )
    session = await client.new_session(agent="universal")
    events = await client.ask(session.id, "hello?")
    assert kinds(events)[-2:] == ["message_added", "turn_failed"]
    kept = events[-2].message_added.message
    assert kept.content == text_of(events) != ""
    assert kept.state == message_pb2.MESSAGE_STATE_INCOMPLETE


async def test_a_tool_nobody_offered_is_refused_to_the_model_which_answers(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(
        reply(tool_calls(call("rm -rf", {"path": "/"}), call("open_file", {"path": "x"}))), reply(text("then without"))
    )
    session = await client.new_session(agent="universal")
    events = await client.ask(session.id, "delete it")
    assert events[-1].turn_completed.result_text == "then without"
    assert kinds(events).count("tool_result_recorded") == 2
    assert "tool_calls_requested" not in kinds(events)
    assert (await model.counts())["refused"] == 0


async def test_after_kill_9_in_mid_answer_the_turn_finishes_and_nothing_seen_is_lost(database_url: str) -> None:
    words = "these words were seen before the crash "
    async with (
        running_scripted_model(reply(text(words), gate("crash")), reply(text("and these after it"))) as model,
        RuntimeProcess(database_url, model.url, {"LEASE": "2"}) as runtime,
    ):
        async with connected(runtime.address, "me") as client:
            session = await client.new_session(agent="universal")
            seen = await read_until(client.send(session.id, "go", request_id="r-1"), said(words))
            await runtime.kill()
        await runtime.start()
        async with connected(runtime.address, "me") as client:
            rest = await client.ask(session.id, "go", request_id="r-1", after_sequence=seen[-1].sequence)
            log = await client.log(session.id)
            assert log[: len(seen)] == seen
            assert log == seen + rest
            assert [event.sequence for event in log] == list(range(1, len(log) + 1))
            restarted = rest[kinds(rest).index("attempt_restarted")].attempt_restarted
            assert restarted.discarded_message_id == seen[-1].text_delta.message_id
            answer = rest[-1].turn_completed
            assert answer.result_text == "and these after it"
            assert answer.final_message_id != restarted.discarded_message_id
            history = await client.ask(session.id, "again")
            assert history[-1].HasField("turn_completed")
            assert (await model.counts())["refused"] == 0


async def test_a_graceful_stop_ends_streams_with_a_cursor_and_the_turn_finishes_later(database_url: str) -> None:
    async with (
        running_scripted_model(reply(text("before "), gate("stop")), reply(text("after the restart"))) as model,
        RuntimeProcess(database_url, model.url) as runtime,
    ):
        async with connected(runtime.address, "me") as client:
            session = await client.new_session(agent="universal")
            stream = client.send(session.id, "go", request_id="r-1")
            seen = await read_until(stream, said("before "))
            stopping = asyncio.ensure_future(runtime.terminate())
            (drained,) = await read_rest(stream)
            assert drained.drain.resume_after_sequence == seen[-1].sequence
            assert await stopping == 0
        await runtime.start()
        async with connected(runtime.address, "me") as client:
            rest = await client.ask(session.id, "go", request_id="r-1", after_sequence=seen[-1].sequence)
            assert rest[0].sequence == seen[-1].sequence + 1
            assert rest[-1].turn_completed.result_text == "after the restart"
