"""A conversation that outgrows what the model reads goes on with a summary, and loses nothing anybody else can see."""

from __future__ import annotations

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.rpc.conftest import ONE_ATTEMPT
from tests.rpc.flows.context.conftest import WINDOW
from tests.rpc.flows.context.words import (
    ANSWER,
    LONG,
    SUMMARISING,
    SUMMARY,
    asked,
    history,
    long_talk,
    summaries_asked,
    summary,
)
from tests.support.runtime_client import Event, RuntimeClient, connected, ended, kinds, read_until
from tests.support.tool_turns import only, payloads


async def test_the_model_reads_the_first_request_a_summary_and_what_comes_last(
    small_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(summary(), ANSWER)
    session_id, events = await long_talk(small_client, 4)
    compacted = only(events, "context_compacted")
    assert 0 < compacted.tokens_after < compacted.tokens_before
    messages = await history(small_client, session_id)
    assert [m.content[:9] for m in messages[::2]] == [f"message {n}" for n in range(4)], "nothing is lost"
    ids = [m.id for m in messages]
    assert ids.index(compacted.first_message_id) == 1
    last = ids.index(compacted.last_message_id)
    assert 1 < last < 6
    read = (await asked(model))[-1]
    assert read[0]["content"] == f"message 0: {LONG}"
    assert SUMMARY in read[1]["content"]
    assert [m["content"] for m in read[2:]] == [m.content for m in messages[last + 1 : 7]]
    [told] = await summaries_asked(model)
    assert "message 1" in told
    assert "message 3" not in told
    assert kinds(events)[-1] == "turn_completed"


async def test_it_is_made_once_and_serves_until_the_rest_is_too_long_again(
    small_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(summary(times=1, repeat=False), summary("And of more."), ANSWER)
    session_id, _ = await long_talk(small_client, 4)
    events = await small_client.ask(session_id, "and then?")
    assert payloads(events, "context_compacted") == []
    assert SUMMARY in (await asked(model))[-1][1]["content"]
    while not (later := payloads(events, "context_compacted")):
        events = await small_client.ask(session_id, LONG)
    told = (await summaries_asked(model))[-1]
    assert SUMMARY in told, "what it summarises begins with the summary before"
    assert "message 1" not in told
    assert later[0].first_message_id == (await history(small_client, session_id))[1].id
    read = (await asked(model))[-1]
    assert "And of more." in read[1]["content"]
    assert not any(SUMMARY in str(m["content"]) for m in read)


async def test_its_cost_is_reported_and_counted(small_client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(summary(), ANSWER)
    session_id, events = await long_talk(small_client, 4)
    reported = payloads(events, "usage_reported")
    assert (len(reported), reported[0].usage.prompt_tokens) == (2, 500)
    completed = events[-1].turn_completed
    assert completed.usage.prompt_tokens == sum(r.usage.prompt_tokens for r in reported)
    turn = (await small_client.turn(session_id, events[0].turn_id)).turn
    assert turn.model_calls == 2
    assert "text_delta" in kinds(events)
    assert SUMMARY not in "".join(e.text_delta.text for e in events), "nobody watches it being written"


async def test_a_fork_and_a_cleared_session_see_what_they_have(
    small_client: RuntimeClient, model: ScriptedModel
) -> None:
    await model.play(summary(), ANSWER)
    session_id, _ = await long_talk(small_client, 4)
    fork = await small_client.fork(session_id)
    await small_client.ask(fork.id, "and then?")
    assert SUMMARY in (await asked(model))[-1][1]["content"]
    assert len(await summaries_asked(model)) == 1
    await small_client.clear(session_id)
    await small_client.ask(session_id, "anew")
    assert [m["content"] for m in (await asked(model))[-1]] == ["anew"]


async def test_a_restarted_server_goes_on_with_it(database_url: str, own_model: ScriptedModel) -> None:
    await own_model.play(summary(), ANSWER)
    async with RuntimeProcess(database_url, own_model.url, ONE_ATTEMPT | WINDOW) as process:
        async with connected(process.address, "ann") as client:
            session_id, events = await long_talk(client, 4)
            assert only(events, "context_compacted")
        await process.kill()
        await process.start()
        async with connected(process.address, "ann") as client:
            events = await client.ask(session_id, "and then?")
    assert payloads(events, "context_compacted") == []
    assert SUMMARY in (await asked(own_model))[-1][1]["content"]


async def test_a_crash_in_the_middle_leaves_none_and_the_next_makes_it(
    database_url: str, own_model: ScriptedModel
) -> None:
    held = reply(gate("summary"), text(SUMMARY), when=SUMMARISING, repeat=True)
    await own_model.play(held, ANSWER)
    settings = ONE_ATTEMPT | WINDOW | {"LEASE": "1.5"}
    async with RuntimeProcess(database_url, own_model.url, settings) as process:
        async with connected(process.address, "ann") as client:
            session_id, _ = await long_talk(client, 3)
            await client.ask(session_id, f"message 3: {LONG}", detach=True)
            await own_model.held("summary")
        await process.kill()
        await process.start()
        async with connected(process.address, "ann") as client:
            await own_model.release("summary")
            events = await read_until(client.watch(session_id, after_sequence=0), _ended_four_times)
    assert len(payloads(events, "context_compacted")) == 1
    assert kinds(events)[-1] == "turn_completed"
    assert len(await summaries_asked(own_model)) == 2


def _ended_four_times(events: list[Event]) -> bool:
    return sum(ended([event]) for event in events) == 4
