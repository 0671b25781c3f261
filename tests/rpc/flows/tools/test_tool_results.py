"""A result is recorded once, for an open call of its own session, and reaches the model as it was sent."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from agent_runtime.v1 import error_reason_pb2, input_pb2, tool_event_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, json_result, kinds, refused, text_result
from tests.support.tool_turns import begin, calls, only, open_calls, payloads, read, results_read

MEBIBYTE = 1024 * 1024
NOT_OPEN = (grpc.StatusCode.FAILED_PRECONDITION, "TOOL_CALL_NOT_OPEN")


async def test_an_identical_repeat_has_the_same_stream_and_writes_nothing(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1"), read("b", "c2")), reply(text("done")))
    first = await client.tool_results(session_id, text_result("c1", "one"))
    assert await client.tool_results(session_id, text_result("c1", "one")) == first
    last = await client.tool_results(session_id, text_result("c2", "two"))
    log = await client.log(session_id)
    assert await client.tool_results(session_id, text_result("c1", "one")) == first
    assert await client.tool_results(session_id, text_result("c2", "two")) == last
    assert await client.tool_results(session_id, text_result("c1", "one"), text_result("c2", "two")) == last
    assert await client.log(session_id) == log
    assert (await model.counts())["calls"] == 2


@pytest.mark.parametrize(
    "other",
    [text_result("c1", "two"), json_result("c1", "one"), text_result("c1", "one", is_error=True)],
    ids=["text", "kind", "error"],
)
async def test_a_different_repeat_is_refused_and_changes_nothing(
    client: RuntimeClient, model: ScriptedModel, other: input_pb2.ToolResult
) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1"), read("b", "c2")), reply(text("done")))
    await client.tool_results(session_id, text_result("c1", "one"))
    log = await client.log(session_id)
    async with refused() as refusal:
        await client.tool_results(session_id, other)
    assert (refusal().code, refusal().reason) == NOT_OPEN
    assert await client.log(session_id) == log
    await client.tool_results(session_id, text_result("c2", "two"))
    assert (await results_read(model))["c1"] == "one"


async def test_unknown_foreign_and_late_results_are_refused(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, calls(read("a", "c1")), reply(text("fine")))
    second = await client.new_session()
    await other_client.new_session(session_id=session_id)
    log = await client.log(session_id)
    for owner, where, id in ((client, session_id, "c9"), (client, second.id, "c1"), (other_client, session_id, "c1")):
        async with refused() as refusal:
            await owner.tool_results(where, text_result(id, "x"))
        assert (refusal().code, refusal().reason) == NOT_OPEN
        assert "no such call" in refusal().message
    async with refused() as refusal:
        await other_client.tool_results(second.id, text_result("c1", "x"))
    assert refusal().reason == "SESSION_NOT_FOUND"
    assert await client.log(session_id) == log
    await client.cancel(session_id, events[0].turn_id)
    async with refused() as refusal:
        await client.tool_results(session_id, text_result("c1", "too late"))
    assert (refusal().code, refusal().reason) == NOT_OPEN
    assert (await client.ask(session_id, "and now?"))[-1].turn_completed.result_text == "fine"


async def test_of_several_results_the_good_ones_count(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(
        client, model, calls(read("a", "c1"), read("b", "c2"), read("c", "c3")), reply(text("done"))
    )
    await client.tool_results(session_id, text_result("c1", "one"))
    events = await client.tool_results(
        session_id,
        *(text_result("c9", "x"), text_result("c1", "other"), text_result("c2", "x" * (MEBIBYTE + 1))),
        text_result("c3", "three"),
    )
    rejected = {each.tool_call_id: each for each in only(events, "input_accepted").rejected_results}
    assert {id: each.reason for id, each in rejected.items()} == {
        "c9": error_reason_pb2.ERROR_REASON_TOOL_CALL_NOT_OPEN,
        "c1": error_reason_pb2.ERROR_REASON_TOOL_CALL_NOT_OPEN,
        "c2": error_reason_pb2.ERROR_REASON_TOOL_RESULT_TOO_LARGE,
    }
    assert all(each.message for each in rejected.values())
    assert [each.tool_call_id for each in payloads(events, "tool_result_recorded")] == ["c3"]
    assert list(events[-1].turn_paused.open_tool_call_ids) == ["c2"]
    await client.tool_results(session_id, text_result("c2", "two"))
    assert await results_read(model) == {"c1": "one", "c2": "two", "c3": "three"}


@pytest.mark.parametrize(
    ("sent", "reads"),
    [
        (text_result("c1", ""), '""'),
        (json_result("c1", ""), '""'),
        (json_result("c1", 0), "0"),
        (json_result("c1", False), "false"),
        (json_result("c1", []), "[]"),
        (json_result("c1", {}), "{}"),
        (json_result("c1", None), "null"),
        (text_result("c1", "0"), "0"),
    ],
)
async def test_an_empty_result_is_a_result(
    client: RuntimeClient, model: ScriptedModel, sent: input_pb2.ToolResult, reads: str
) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1")), reply(text("done")))
    events = await client.tool_results(session_id, sent)
    recorded = only(events, "tool_result_recorded")
    assert (recorded.is_error, recorded.source) == (False, tool_event_pb2.TOOL_RESULT_SOURCE_CLIENT)
    assert events[-1].turn_completed.result_text == "done"
    assert await results_read(model) == {"c1": reads}


async def test_json_reaches_the_model_to_the_letter(client: RuntimeClient, model: ScriptedModel) -> None:
    written = '{"b": 1.0, "a": 9007199254740993, "s": "\\u00e9 é"}'
    session_id, _ = await begin(client, model, calls(read("a", "c1")), reply(text("done")))
    await client.tool_results(session_id, input_pb2.ToolResult(tool_call_id="c1", json=written))
    assert await results_read(model) == {"c1": written}


async def test_a_result_has_its_limit_and_the_call_stays_open(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1")), reply(text("done")))
    for words in ("x" * (MEBIBYTE + 1), "Ж" * (MEBIBYTE // 2 + 1)):
        async with refused() as refusal:
            await client.tool_results(session_id, text_result("c1", words))
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.INVALID_ARGUMENT, "TOOL_RESULT_TOO_LARGE")
        assert refusal().metadata["limit_bytes"] == str(MEBIBYTE)
    assert [each.call.id for each in await open_calls(client, session_id)] == ["c1"]
    events = await client.tool_results(session_id, text_result("c1", "x" * MEBIBYTE))
    assert events[-1].turn_completed.result_text == "done"
    (message, _) = [payload.message for payload in payloads(events, "message_added")]
    assert message.content == "x" * MEBIBYTE


async def test_an_error_is_read_like_any_result(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1")), reply(text("then not")))
    events = await client.tool_results(session_id, text_result("c1", "no such file", is_error=True))
    assert only(events, "tool_result_recorded").is_error
    (message, _) = [payload.message for payload in payloads(events, "message_added")]
    assert (message.is_error, message.name, message.tool_call_id) == (True, "read_file", "c1")
    assert await results_read(model) == {"c1": "no such file"}
    assert events[-1].turn_completed.result_text == "then not"


async def test_a_request_id_finds_the_stream_again_and_takes_no_other_body(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1")), reply(text("done")))
    sent: dict[str, Any] = {"request_id": "r-1"}
    first = await client.tool_results(session_id, text_result("c1", "one"), **sent)
    assert only(first, "input_accepted").request_id == "r-1"
    assert await client.tool_results(session_id, text_result("c1", "one"), **sent) == first
    assert await client.tool_results(session_id, text_result("c1", "one"), after_sequence=0, **sent) == first
    async with refused() as refusal:
        await client.tool_results(session_id, text_result("c1", "two"), **sent)
    assert refusal().reason == "REQUEST_ID_REUSED"
    assert kinds(await client.log(session_id)).count("tool_result_recorded") == 1


async def test_a_full_history_still_takes_the_results_of_its_turn(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, _ = await begin(client, model, calls(read("a", "c1")), reply(text("done")), message_limit=2)
    events = await client.tool_results(session_id, text_result("c1", "one"))
    assert events[-1].turn_completed.result_text == "done"
    async with refused() as refusal:
        await client.ask(session_id, "and on")
    assert refusal().reason == "SESSION_MESSAGE_LIMIT"
    await client.update(session_id, message_limit=10)
    assert (await client.ask(session_id, "and on"))[-1].HasField("turn_completed")
