"""Several calls in one answer: one order, results in any order on any stream, and exactly one continuation."""

from __future__ import annotations

import asyncio
from itertools import permutations

import pytest

from agent_runtime.v1 import tool_event_pb2, turn_pb2
from devtools.scripted_model import Reply, ScriptedModel, raw_stream, reply, text, tool_calls
from tests.support.runtime_client import Event, RuntimeClient, kinds, text_of, text_result
from tests.support.tool_turns import begin, calls, only, open_calls, ordered, payloads, read, requests, results_read
from tests.support.unlimited import TOOL_RESULT_WAIT
from tests.unit.llm import wire

IDS = ("c1", "c2", "c3")
RESULTS_PAUSED = ["input_accepted", "tool_result_recorded", "message_added", "turn_paused"]


def three_reads() -> Reply:
    return reply(text("Looking. "), tool_calls(*(read(f"{id}.py", id) for id in IDS)))


async def test_the_calls_of_one_answer_are_one_order_and_the_turn_waits(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, three_reads())
    order = only(events, "tool_calls_requested")
    assert [each.id for each in order.calls] == list(IDS)
    assert [(each.name, each.arguments_edited) for each in order.calls] == [("read_file", False)] * 3
    assert [each.arguments_json for each in order.calls] == [f'{{"path": "{id}.py"}}' for id in IDS]
    assert order.execution_mode == tool_event_pb2.TOOL_EXECUTION_MODE_PARALLEL
    assert not order.speculative
    message = payloads(events, "message_added")[-1].message
    assert (message.content, [each.id for each in message.tool_calls]) == ("Looking. ", list(IDS))
    assert kinds(events)[-1] == "turn_paused"
    paused = events[-1].turn_paused
    assert list(paused.waiting_for) == [turn_pb2.WAIT_REASON_TOOL_RESULTS]
    assert list(paused.open_tool_call_ids) == list(IDS)
    turn = (await client.turn(session_id, events[0].turn_id)).turn
    assert (turn.state, turn.expire_time) == (turn_pb2.TURN_STATE_PAUSED, paused.expire_time)
    waiting = await open_calls(client, session_id)
    assert [each.call for each in waiting] == list(order.calls)
    assert {(each.turn_id, each.batch_id, each.agent) for each in waiting} == {(turn.id, order.batch_id, "coder")}
    for each in waiting:
        assert abs(each.expire_time.seconds - each.create_time.seconds - TOOL_RESULT_WAIT) <= 1
    assert [each.call.id for each in await open_calls(client, session_id, page_size=2)] == ["c1", "c2"]


@pytest.mark.parametrize("order", list(permutations(IDS))[1::2])
async def test_results_come_in_any_order_and_the_last_carries_the_continuation(
    client: RuntimeClient, model: ScriptedModel, order: tuple[str, ...]
) -> None:
    session_id, asked = await begin(client, model, three_reads(), reply(text("read them all")))
    streams = []
    for number, id in enumerate(order, start=1):
        streams.append(await client.tool_results(session_id, text_result(id, f"text of {id}")))
        assert [each.call.id for each in await open_calls(client, session_id)] == sorted(set(IDS) - set(order[:number]))
    for stream in streams[:-1]:
        assert kinds(stream) == RESULTS_PAUSED
    assert kinds(streams[-1])[:4] == [*RESULTS_PAUSED[:3], "turn_resumed"]
    assert text_of(streams[-1]) == "read them all"
    assert kinds(streams[-1])[-1] == "turn_completed"
    assert await client.log(session_id) == asked + [event for stream in streams for event in stream]
    assert len(await requests(model)) == 2
    assert await results_read(model) == {id: f"text of {id}" for id in IDS}


async def test_results_at_the_same_moment_have_one_continuation(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, three_reads(), reply(text("read them all")))
    streams: list[list[Event]] = await asyncio.gather(
        *(client.tool_results(session_id, text_result(id, id)) for id in IDS)
    )
    assert sorted(kinds(stream)[-1] for stream in streams) == ["turn_completed", "turn_paused", "turn_paused"]
    assert [text_of(stream) for stream in streams if kinds(stream)[-1] == "turn_completed"] == ["read them all"]
    assert kinds(await client.log(session_id)).count("turn_resumed") == 1
    assert len(await requests(model)) == 2


async def test_results_may_come_together(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, three_reads(), reply(text("read them all")))
    events = await client.tool_results(session_id, *(text_result(id, id) for id in reversed(IDS)))
    assert kinds(events).count("input_accepted") == 1
    assert [each.tool_call_id for each in payloads(events, "tool_result_recorded")] == list(reversed(IDS))
    assert events[-1].turn_completed.result_text == "read them all"


async def test_turns_of_many_answers_go_on_and_on(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, *(calls(read(f"{number}.py", f"c{number}")) for number in range(5)), reply(text("enough"))
    )
    for number in range(5):
        assert ordered(events) == [[f"c{number}"]]
        events = await client.tool_results(session_id, text_result(f"c{number}", str(number)))
    assert events[-1].turn_completed.result_text == "enough"
    assert await results_read(model) == {f"c{number}": str(number) for number in range(5)}
    (turn,) = (await client.list_turns(session_id)).turns
    assert (turn.model_calls, turn.tool_calls) == (6, 5)


async def test_a_model_that_uses_an_id_again_makes_another_call_all_the_same(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, _ = await begin(client, model, calls(read("a.py", "c1")), calls(read("b.py", "c1")), reply(text("ok")))
    events = await client.tool_results(session_id, text_result("c1", "one"))
    ((second,),) = ordered(events)
    assert second != "c1"
    events = await client.tool_results(session_id, text_result(second, "two"))
    assert events[-1].turn_completed.result_text == "ok"
    assert await results_read(model) == {"c1": "one", second: "two"}


async def test_as_many_calls_as_an_answer_may_have_of_which_some_fail(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    ids = [f"c{number}" for number in range(32)]
    session_id, events = await begin(client, model, calls(*(read(f"{id}.py", id) for id in ids)), reply(text("enough")))
    assert ordered(events) == [ids]
    given = {id: text_result(id, f"text of {id}", is_error=number % 3 == 0) for number, id in enumerate(ids)}
    streams = await asyncio.gather(*(client.tool_results(session_id, result) for result in given.values()))
    assert sorted(kinds(stream)[-1] for stream in streams) == ["turn_completed", *["turn_paused"] * 31]
    recorded = payloads(await client.log(session_id), "tool_result_recorded")
    assert {each.tool_call_id: each.is_error for each in recorded} == {id: each.is_error for id, each in given.items()}
    assert len(recorded) == 32
    assert await results_read(model) == {id: f"text of {id}" for id in ids}
    assert len(await requests(model)) == 2


@pytest.mark.parametrize("id", [None, "", "same"])
async def test_calls_without_an_id_of_their_own_are_told_apart(
    client: RuntimeClient, model: ScriptedModel, id: str | None
) -> None:
    made = (wire.call(number, id, "read_file", f'{{"path": "{number}.md"}}') for number in range(3))
    session_id, events = await begin(
        client, model, raw_stream(*made, wire.finish("tool_calls"), wire.DONE), reply(text("read them all"))
    )
    (order,) = payloads(events, "tool_calls_requested")
    assert [each.arguments_json for each in order.calls] == [f'{{"path": "{number}.md"}}' for number in range(3)]
    assert len({each.id for each in order.calls}) == 3
    events = await client.tool_results(session_id, *(text_result(each.id, each.id) for each in order.calls))
    assert events[-1].turn_completed.result_text == "read them all"
    assert await results_read(model) == {each.id: each.id for each in order.calls}
