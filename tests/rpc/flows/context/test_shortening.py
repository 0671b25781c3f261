"""Long tool results are shortened before anything is summarised, and a model that cannot read is asked with less."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import error_reason_pb2
from devtools.scripted_model import ScriptedModel, When, in_band_error, refusal, reply, text, tool_calls
from tests.rpc.flows.context.words import ANSWER, LONG, asked, history, long_talk, summaries_asked, summary
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import payloads, read, requests

CONTEXT_FULL = error_reason_pb2.ERROR_REASON_CONTEXT_FULL


async def test_old_results_are_shortened_and_nobody_else_sees_it(
    small_client: RuntimeClient, model: ScriptedModel
) -> None:
    reads = [reply(tool_calls(read(f"f{n}.py", f"c{n}")), send_usage=False) for n in range(6)]
    await model.play(*reads, ANSWER)
    session = await small_client.new_session(agent="ask")
    events = await small_client.ask(session.id, "read them all")
    for n in range(6):
        events = await small_client.tool_results(session.id, text_result(f"c{n}", f"content of {n}\n" * 150))
    assert kinds(events)[-1] == "turn_completed"
    assert payloads(events, "context_compacted") == []
    results = [m["content"] for m in (await asked(model))[-1] if m["role"] == "tool"]
    assert len(results) == 6
    assert "characters left out" in results[0]
    assert results[-1] == "content of 5\n" * 150
    assert sum(map(len, results)) < 6 * 13 * 150
    stored = [m.content for m in await history(small_client, session.id) if m.tool_call_id]
    assert stored == [f"content of {n}\n" * 150 for n in range(6)]


async def test_a_result_that_is_longer_than_all_the_model_reads_is_shortened(
    small_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(reply(tool_calls(read("big.py", "c1")), send_usage=False), ANSWER)
    session = await small_client.new_session(agent="ask")
    await small_client.ask(session.id, "read it")
    events = await small_client.tool_results(session.id, text_result("c1", "x" * 500_000))
    assert kinds(events)[-1] == "turn_completed"
    [shown] = [m["content"] for m in (await asked(model))[-1] if m["role"] == "tool"]
    assert len(shown) < 20_000
    assert "characters left out" in shown


@pytest.mark.parametrize("way", ["status", "in band"])
async def test_a_model_that_says_it_is_too_long_is_asked_once_more_with_less(
    client: RuntimeClient, model: ScriptedModel, way: str
) -> None:
    too_long = When(longer_than=9_000, has_tools=True)
    complaint = (
        refusal(400, code="context_length_exceeded", when=too_long, repeat=True)
        if way == "status"
        else reply(in_band_error("maximum context length", code="context_length_exceeded"), when=too_long, repeat=True)
    )
    await model.play(complaint, summary(), ANSWER)
    session_id, events = await long_talk(client, 3)
    while not payloads(events, "context_compacted"):
        events = await client.ask(session_id, LONG)
    assert kinds(events)[-1] == "turn_completed"
    assert len(await summaries_asked(model)) == 1
    turn = (await client.turn(session_id, events[0].turn_id)).turn
    assert turn.model_calls == 3, "the one refused, the summary, the one that was read"


async def test_a_model_that_reads_nothing_ends_the_turn_and_says_how_to_go_on(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(summary(), ANSWER)
    session_id, _ = await long_talk(client, 2)
    await model.play(refusal(400, code="context_length_exceeded", when=When(has_tools=True), repeat=True), summary())
    before = len(await requests(model))
    failed = (await client.ask(session_id, "and then?"))[-1].turn_failed
    assert failed.reason == CONTEXT_FULL
    assert not failed.resumable
    assert "fork" in failed.message
    assert "clear" in failed.message
    assert len(await requests(model)) - before <= 5
    await model.play(ANSWER)
    assert kinds(await client.ask(session_id, "now?"))[-1] == "turn_completed"


async def test_a_message_longer_than_the_model_reads_fails_without_a_call_and_the_next_one_works(
    small_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(summary(), ANSWER)
    session = await small_client.new_session(agent="ask")
    events = await small_client.ask(session.id, LONG * 10)
    assert events[-1].turn_failed.reason == CONTEXT_FULL
    assert await requests(model) == []
    assert (await small_client.turn(session.id, events[0].turn_id)).turn.model_calls == 0
    assert kinds(await small_client.ask(session.id, "hello"))[-1] == "turn_completed"


@pytest.mark.parametrize("words", ["", LONG * 4])
async def test_summaries_that_gain_nothing_are_given_up(
    small_client: RuntimeClient, model: ScriptedModel, words: str
) -> None:
    parts = [text(words)] if words else []
    useless = reply(*parts, when=summary().when, repeat=True)
    await model.play(useless, ANSWER)
    session_id, events = await long_talk(small_client, 4)
    made = len(await summaries_asked(model))
    if words:
        assert made >= 1
    else:
        assert (made, payloads(events, "context_compacted")) == (3, [])
    assert kinds(events)[-1] == "turn_completed", "what is there was shortened where it stands"
    assert len((await history(small_client, session_id))[0].content) > 3000
