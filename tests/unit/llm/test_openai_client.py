"""The client against a real HTTP server that plays every way a provider answers and fails."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from devtools.scripted_model import (
    Reply,
    ScriptedModel,
    call,
    fault,
    gate,
    in_band_error,
    page,
    pause,
    raw_stream,
    reasoning,
    refusal,
    reply,
    running_scripted_model,
    text,
    tool_calls,
)
from devtools.scripted_model import (
    Usage as ScriptedUsage,
)
from services.application.ports import ModelClient
from services.domain.errors import ErrorReason
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import (
    FinishReason,
    ModelAnswer,
    ModelEvent,
    ModelRequest,
    ReasoningFragment,
    TextFragment,
    ToolCallFragment,
    Usage,
)
from services.infrastructure.llm import OpenAiModelClient, OpenAiSettings, RetrySettings
from services.infrastructure.llm.failures import FailureKind, UpstreamError
from tests.unit.llm import wire
from tests.unit.llm.asking import NOW, question
from tests.unit.llm.circuits import patient_circuits

KEY = "sk-canary-key"


@asynccontextmanager
async def client_of(url: str, **settings: float) -> AsyncIterator[OpenAiModelClient]:
    """A client that asks once."""
    once = RetrySettings(attempts=1)
    chosen = OpenAiSettings(base_url=url, model="small", api_key=KEY, retry=once, **settings)  # type: ignore[arg-type]
    async with aclosing(OpenAiModelClient(chosen, patient_circuits())) as client:
        yield client


async def ask(client: ModelClient, request: ModelRequest | None = None) -> tuple[list[ModelEvent], ModelAnswer]:
    async with client.stream(request or question()) as events:
        seen = [event async for event in events]
    assert isinstance(seen[-1], ModelAnswer)
    return seen[:-1], seen[-1]


async def failure_of(*replies: Reply, **settings: float) -> tuple[list[ModelEvent], UpstreamError]:
    """What was seen before the failure, and the failure, which tells no secret."""
    seen: list[ModelEvent] = []

    async def run(client: ModelClient) -> None:
        async with client.stream(question()) as events:
            async for event in events:
                seen.append(event)

    async with running_scripted_model(*replies) as model, client_of(model.url, **settings) as client:
        with pytest.raises(UpstreamError) as failed:
            await run(client)
        await client.aclose()
        error = failed.value
        assert not any(secret in error.message for secret in (KEY, model.url, "scripted", "boom", "<html>"))
        return seen, error


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    async with running_scripted_model() as running:
        yield running


@pytest.fixture
async def client(model: ScriptedModel) -> AsyncIterator[OpenAiModelClient]:
    async with client_of(model.url) as running:
        yield running


class TestAnswer:
    async def test_streams_and_then_is_whole(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        parts = (
            reasoning("hm"),
            text("Hello 🌍"),
            tool_calls(call("a", {"x": 1}, id="1"), call("b", "{oops", id="2")),
        )
        await model.play(reply(*parts, usage=ScriptedUsage(prompt_tokens=9, completion_tokens=8, cached_tokens=7)))
        fragments, answer = await ask(client)
        assert fragments[:3] == [ReasoningFragment("hm"), TextFragment("Hello "), TextFragment("🌍")]
        assert all(isinstance(fragment, ToolCallFragment) for fragment in fragments[3:])
        calls = (MessageToolCall("1", "a", '{"x": 1}'), MessageToolCall("2", "b", "{oops"))
        assert answer == ModelAnswer("Hello 🌍", "hm", calls, FinishReason.TOOL_CALLS, Usage(9, 8, 7), "scripted")

    async def test_fragments_come_while_the_model_speaks(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        await model.play(reply(text("one"), gate("middle"), text("two")))
        async with client.stream(question()) as events:
            assert await anext(events) == TextFragment("one")
            await model.held("middle")
            await model.release("middle")
            assert await anext(events) == TextFragment("two")

    async def test_asks_as_the_api_expects(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        await ask(client)
        (seen,) = await model.calls()
        assert seen["headers"]["authorization"] == f"Bearer {KEY}"
        assert seen["headers"]["x-correlation-id"] == "corr-1"
        sent, given = seen["headers"]["traceparent"].split("-"), str(question().traceparent).split("-")
        assert (sent[0], sent[1], sent[3]) == (given[0], given[1], given[3])
        assert re.fullmatch("[0-9a-f]{16}", sent[2])
        assert sent[2] != given[2]
        assert seen["body"]["model"] == "small"
        assert seen["body"]["stream"] is True
        assert seen["body"]["stream_options"] == {"include_usage": True}
        assert [m["role"] for m in seen["body"]["messages"]] == ["system", "user"]
        assert [t["function"]["name"] for t in seen["body"]["tools"]] == ["read_file"]

    async def test_a_tool_round_trip_is_accepted(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        await model.play(
            reply(tool_calls(call("read_file", {}, id="1"), call("read_file", {}, id="2"))), reply(text("ok"))
        )
        _, first = await ask(client)
        history = (
            *question().messages,
            Message("2", Role.ASSISTANT, "", NOW, tool_calls=first.tool_calls),
            *(Message(c.id, Role.TOOL, "text", NOW, tool_call_id=c.id) for c in first.tool_calls),
        )
        _, second = await ask(client, ModelRequest(history, "", "c", "p"))
        assert second.text == "ok"
        assert (await model.counts())["refused"] == 0

    async def test_many_bytes_at_a_time_or_one_by_one(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        body = wire.text("grüß 🌍") + wire.call(0, "a", "f", "{}") + wire.finish("tool_calls") + wire.DONE
        await model.play(raw_stream(body), raw_stream(*(body[n : n + 1] for n in range(len(body)))))
        assert await ask(client) == await ask(client)

    async def test_a_provider_that_does_not_stream(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        body = '{"choices":[{"message":{"role":"assistant","content":"all"},"finish_reason":"stop"}]}'
        await model.play(page(body, content_type="application/json"))
        fragments, answer = await ask(client)
        assert fragments == [TextFragment("all")]
        assert answer.usage.estimated

    async def test_a_connection_lost_after_the_end_takes_only_the_usage(
        self, model: ScriptedModel, client: OpenAiModelClient
    ) -> None:
        for lose in (fault.reset_after(10_000), fault.cut_after(10_000)):
            await model.play(reply(text("all"), done=False, send_usage=False, fault=lose))
            _, answer = await ask(client)
            assert (answer.text, answer.finish_reason, answer.usage.estimated) == ("all", FinishReason.STOP, True)

    async def test_comments_do_not_disturb(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        await model.play(reply(text("a "), pause(0.05, ping_every=0.01), text("b")))
        assert (await ask(client))[1].text == "a b"


class TestFailure:
    @pytest.mark.parametrize(
        ("answer", "kind", "seen"),
        [
            (reply(text("one two"), fault=fault.reset_after(200)), FailureKind.CONNECTION, 1),
            (reply(text("one two"), fault=fault.reset_after(0)), FailureKind.CONNECTION, 0),
            (reply(text("one two"), fault=fault.cut_after(200)), FailureKind.CONNECTION, 1),
            (reply(text("one two"), fault=fault.end_after(200)), FailureKind.TRUNCATED, 1),
            (reply(text("one two"), finish_reason=None, done=False, send_usage=False), FailureKind.TRUNCATED, 2),
            (raw_stream(), FailureKind.TRUNCATED, 0),
            (page("", content_type="application/json"), FailureKind.TRUNCATED, 0),
            (reply(text("one two"), fault=fault.garbage_after(200)), FailureKind.BAD_UPSTREAM, 1),
            (raw_stream(b"data: {boom\n\n"), FailureKind.BAD_UPSTREAM, 0),
            (page("<html>bad gateway"), FailureKind.BAD_UPSTREAM, 0),
            (page("[]", content_type="application/json"), FailureKind.BAD_UPSTREAM, 0),
            (page('{"error":{"code":503}}', content_type="application/json"), FailureKind.IN_BAND, 0),
            (reply(text("one"), in_band_error("boom", code=500)), FailureKind.IN_BAND, 1),
            (refusal(429), FailureKind.STATUS, 0),
            (page("<html>bad gateway", status=502), FailureKind.STATUS, 0),
        ],
    )
    async def test_worth_another_try(self, answer: Reply, kind: FailureKind, seen: int) -> None:
        before, failed = await failure_of(answer)
        assert (failed.kind, len(before), failed.retryable) == (kind, seen, True)

    async def test_not_worth_another_try(self) -> None:
        for status in (302, 400, 401, 403, 404, 422):
            _, failed = await failure_of(refusal(status))
            assert (failed.kind, failed.status, failed.retryable) == (FailureKind.STATUS, status, False)

    async def test_a_conversation_too_long(self) -> None:
        _, failed = await failure_of(refusal(400, code="context_length_exceeded"))
        assert failed.reason is ErrorReason.CONTEXT_FULL

    async def test_retry_after_is_handed_on(self) -> None:
        _, failed = await failure_of(refusal(429, retry_after="7"))
        assert failed.retry_after == 7.0

    async def test_a_stream_without_end(self) -> None:
        _, failed = await failure_of(raw_stream(*[b": " + b"x" * 65536 + b"\n"] * 300))
        assert failed.kind is FailureKind.TOO_LARGE

    async def test_nobody_there(self) -> None:
        async with running_scripted_model() as model:
            url = model.url
        async with client_of(url) as client:
            with pytest.raises(UpstreamError) as failed:
                await ask(client)
        assert (failed.value.kind, failed.value.retryable) == (FailureKind.CONNECTION, True)

    @pytest.mark.parametrize("url", ["", "ftp://127.0.0.1/v1", "127.0.0.1/v1", "http:///v1", "http://[::1/v1"])
    async def test_an_address_that_is_none_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(ValueError, match="base_url"):
            OpenAiModelClient(OpenAiSettings(base_url=url, model="small"), patient_circuits())

    async def test_no_http_at_all(self) -> None:
        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"\x16\x03\x01 what is this?\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        async with server, client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
            with pytest.raises(UpstreamError) as failed:
                await ask(client)
        assert failed.value.kind is FailureKind.CONNECTION

    @pytest.mark.parametrize("framing", [b"zz\r\nnonsense\r\n", b"5\r\nhello\r\nzz\r\n"])
    async def test_broken_chunks(self, framing: bytes) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head + framing)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server, client_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
            with pytest.raises(UpstreamError) as failed:
                await ask(client)
        assert (failed.value.kind, failed.value.retryable) == (FailureKind.CONNECTION, True)

    async def test_the_next_question_works_after_every_failure(
        self, model: ScriptedModel, client: OpenAiModelClient
    ) -> None:
        for broken in (fault.reset_after(50), fault.cut_after(50), fault.end_after(50), fault.garbage_after(50)):
            await model.play(reply(text("one two three"), fault=broken))
            with pytest.raises(UpstreamError):
                await ask(client)
            assert (await ask(client))[1].text == "You said: hi"


class TestTime:
    async def test_silence_before_the_first_token(self) -> None:
        for silence in (reply(first_delay=5), reply(pause(5), text("late")), reply(fault=fault.stall_after(0))):
            before, failed = await failure_of(silence, first_token_timeout=0.05)
            assert (before, failed.kind, failed.retryable) == ([], FailureKind.STALLED, True)

    async def test_silence_after_the_first_token(self) -> None:
        before, failed = await failure_of(
            reply(text("one "), pause(5), text("two")), first_token_timeout=5, progress_timeout=0.05
        )
        assert (before, failed.kind) == ([TextFragment("one ")], FailureKind.STALLED)

    async def test_comments_are_no_progress(self) -> None:
        _, failed = await failure_of(reply(text("one "), pause(5, ping_every=0.01)), progress_timeout=0.1)
        assert failed.kind is FailureKind.STALLED

    async def test_comments_keep_the_connection(self) -> None:
        chatty = reply(text("one "), pause(0.3, ping_every=0.01), text("two"))
        async with running_scripted_model(chatty) as model, client_of(model.url, transport_timeout=0.15) as client:
            assert (await ask(client))[1].text == "one two"
        _, failed = await failure_of(reply(text("one "), pause(5)), transport_timeout=0.1)
        assert failed.kind is FailureKind.STALLED

    async def test_an_answer_that_takes_too_long(self) -> None:
        _, failed = await failure_of(reply(text("a b c d " * 100, chunk_delay=0.01)), total_timeout=0.1)
        assert failed.kind is FailureKind.TIMEOUT

    async def test_a_stall_after_the_end_takes_only_the_usage(self, model: ScriptedModel) -> None:
        await model.play(reply(text("all"), done=False, send_usage=False, fault=fault.stall_after(10_000)))
        async with client_of(model.url, progress_timeout=0.05) as client:
            assert (await ask(client))[1].text == "all"

    async def test_a_slow_reader_is_not_the_model_stalling(self, model: ScriptedModel) -> None:
        await model.play(reply(text("one "), gate("slow"), text("two")))
        async with (
            client_of(model.url, first_token_timeout=0.2, progress_timeout=0.2, transport_timeout=0.2) as client,
            client.stream(question()) as events,
        ):
            await anext(events)
            # Longer than any limit, in the reader's own time.
            await asyncio.sleep(0.4)
            await model.release("slow")
            assert await anext(events) == TextFragment("two")

    async def test_a_cancel_is_not_taken_for_a_stall(self, model: ScriptedModel) -> None:
        await model.play(reply(gate("never")))
        async with client_of(model.url, first_token_timeout=0.05) as client:
            task = asyncio.create_task(ask(client))
            await model.held("never")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


class TestLeaving:
    async def test_closes_the_request_at_once(self, model: ScriptedModel, client: OpenAiModelClient) -> None:
        await model.play(reply(text("one "), gate("never"), text("two")))
        async with client.stream(question()) as events:
            await anext(events)
            await model.held("never")
        async with asyncio.timeout(1):
            await model.counts("closed_early", at_least=1)

    @pytest.mark.parametrize("parts", [[gate("never")], [text("one "), gate("never")]])
    async def test_cancelling_closes_the_request_at_once(
        self, model: ScriptedModel, client: OpenAiModelClient, parts: list[object]
    ) -> None:
        await model.play(reply(*parts))  # type: ignore[arg-type]
        task = asyncio.create_task(ask(client))
        await model.held("never")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            await model.counts("closed_early", at_least=1)

    async def test_the_readers_own_error_passes_and_closes(
        self, model: ScriptedModel, client: OpenAiModelClient
    ) -> None:
        await model.play(reply(text("one "), gate("never")))

        async def read_and_fail() -> None:
            async with client.stream(question()) as events:
                await anext(events)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await read_and_fail()
        async with asyncio.timeout(1):
            await model.counts("closed_early", at_least=1)

    async def test_a_finished_answer_leaves_its_connection_for_the_next(self, model: ScriptedModel) -> None:
        async with client_of(model.url, max_connections=1, connect_timeout=1) as client:
            for _ in range(20):
                await ask(client)
        assert await model.counts("finished") == await model.counts("finished", at_least=20)
