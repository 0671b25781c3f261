"""Kill −9 while messages wait: whoever recovers the turn goes on with them when it ends (G4)."""

from __future__ import annotations

from agent_runtime.v1 import input_pb2, turn_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.rpc.busy.words import QUEUE, STEER, begun, history, rest_of, resume, wait_in, waiting, withdraw
from tests.support.runtime_client import connected, kinds, read_until, said, text_result
from tests.support.tool_turns import begin, calls, only, read

SHORT_LEASE = {"LEASE": "2"}


async def test_what_waits_is_said_when_the_recovered_turn_ends(database_url: str, own_model: ScriptedModel) -> None:
    await own_model.play(
        reply(text("half "), gate("never")),
        reply(text("whole")),
        reply(text("steered")),
        reply(text("queued")),
    )
    async with RuntimeProcess(database_url, own_model.url, SHORT_LEASE) as runtime:
        async with connected(runtime.address, "me") as client:
            session = await client.new_session(agent="coder")
            (first,) = await client.ask(session.id, "go", detach=True)
            await own_model.held("never")
            queued, _ = await begun(client, session.id, "second", QUEUE, request_id="q1")
            steered, _ = await begun(client, session.id, "also", STEER, request_id="s1")
            gone = await wait_in(client, session.id, "never mind", QUEUE)
            await withdraw(client, session.id, gone.input_accepted.input_id)
            head = (await client.session(session.id)).last_sequence
            await runtime.kill()
        await runtime.start()
        async with connected(runtime.address, "me") as client:
            again = client.send(session.id, "second", busy_policy=QUEUE, request_id="q1", after_sequence=head)
            events = await rest_of(again)
            assert kinds(events).count("attempt_restarted") == 1
            assert events[-1].turn_completed.result_text == "queued"
            also = await client.ask(session.id, "also", busy_policy=STEER, request_id="s1", after_sequence=0)
            assert also[0] == steered
            assert also[-1].turn_completed.result_text == "steered"
            assert await history(client, session.id) == ["go", "whole", "also", "steered", "second", "queued"]
            log = await client.log(session.id)
            assert [event.sequence for event in log] == list(range(1, len(log) + 1))
            assert kinds(log).count("turn_started") == 3
            assert await waiting(client, session.id) == []
            assert (queued.turn_id, first.turn_id != events[-1].turn_id) == ("", True)
    assert (await own_model.counts())["refused"] == 0


async def test_what_waits_for_a_turn_that_waits_is_still_there(database_url: str, own_model: ScriptedModel) -> None:
    async with RuntimeProcess(database_url, own_model.url, SHORT_LEASE) as runtime:
        async with connected(runtime.address, "me") as client:
            limits = turn_pb2.TurnLimits(max_model_calls=1)
            session_id, _ = await begin(
                client, own_model, calls(read("a", "c1")), reply(text("done")), reply(text("then this"))
            )
            await wait_in(client, session_id, "then this", QUEUE, request_id="q1")
            other = await client.new_session(agent="coder")
            await own_model.play(calls(read("a", "c1")), reply(text("done")), reply(text("then this")))
            await client.ask(other.id, "go", limits=limits)
            paused = await client.tool_results(other.id, text_result("c1", "fine"))
            assert list(only(paused, "turn_paused").waiting_for) == [turn_pb2.WAIT_REASON_BUDGET]
            await runtime.kill()
        await runtime.start()
        async with connected(runtime.address, "me") as client:
            assert await waiting(client, session_id) == ["then this"]
            done = await client.tool_results(session_id, text_result("c1", "fine"))
            assert done[-1].turn_completed.result_text == "done"
            then = await client.ask(session_id, "then this", busy_policy=QUEUE, request_id="q1", after_sequence=0)
            assert then[-1].turn_completed.result_text == "then this"
            await own_model.play(reply(text("resumed")))
            assert (await resume(client, other.id))[-1].turn_completed.result_text == "resumed"
    assert (await own_model.counts())["refused"] == 0


async def test_an_interruption_is_whole_or_not_at_all(database_url: str, own_model: ScriptedModel) -> None:
    await own_model.play(reply(text("half "), gate("never")), reply(gate("never")), reply(text("now")))
    async with RuntimeProcess(database_url, own_model.url, SHORT_LEASE) as runtime:
        async with connected(runtime.address, "me") as client:
            session = await client.new_session(agent="coder")
            await read_until(client.send(session.id, "go"), said("half "))
            (accepted,) = await client.ask(
                session.id, "now", busy_policy=input_pb2.BUSY_POLICY_INTERRUPT, request_id="i1", detach=True
            )
            await own_model.held("never")
            await runtime.kill()
        await runtime.start()
        async with connected(runtime.address, "me") as client:
            rest = await client.ask(
                session.id, "now", busy_policy=input_pb2.BUSY_POLICY_INTERRUPT, request_id="i1", after_sequence=0
            )
            assert rest[0] == accepted
            assert rest[-1].turn_completed.result_text == "now"
            assert await history(client, session.id) == ["go", "half ", "now", "now"]
    assert (await own_model.counts())["refused"] == 0
