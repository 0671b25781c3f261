"""Streams of the client survive broken connections: every event once, in order, and nothing done twice."""

from __future__ import annotations

from contextlib import aclosing

import pytest
from google.rpc import code_pb2

from agent_runtime.v1.answer_event_pb2 import TextDelta
from agent_runtime.v1.input_pb2 import UserMessage
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.session_stream_pb2 import SessionSnapshot
from agent_runtime.v1.turn_event_pb2 import TurnCompleted
from client import Reconnecting, ReconnectPolicy, RuntimeCallError, connect
from tests.rpc.client.fake_runtime import UNAVAILABLE, FakeRuntime, Input, refusal, serving

WORDS = ("one ", "two ", "three ", "four ")


async def four_words(runtime: FakeRuntime, _: Input) -> None:
    for word in WORDS:
        await runtime.happens(text_delta=TextDelta(message_id="m", text=word))
    await runtime.happens(turn_completed=TurnCompleted(result_text="".join(WORDS)))


def impatient(told: list[Reconnecting] | None = None, attempts: int | None = 5) -> ReconnectPolicy:
    """Comes back without waiting; what it would have told somebody is in `told`."""

    async def no_sleep(_: float) -> None:
        return

    return ReconnectPolicy(attempts=attempts, tell=(told if told is not None else []).append, sleep=no_sleep)


async def sent(runtime: FakeRuntime, policy: ReconnectPolicy) -> list[SessionEvent]:
    async with serving(runtime) as address, connect(address, policy=policy) as client:
        return [event async for event in client.send("s1", UserMessage(text="count"))]


def numbers(events: list[SessionEvent]) -> list[int]:
    return [event.sequence for event in events]


async def test_an_input_is_streamed_to_its_end() -> None:
    events = await sent(FakeRuntime(four_words), impatient())
    assert numbers(events) == [1, 2, 3, 4, 5, 6]
    assert events[-1].turn_completed.result_text == "one two three four "


@pytest.mark.parametrize("drains", [False, True])
@pytest.mark.parametrize("items", [1, 2, 5])
async def test_a_stream_that_keeps_breaking_is_read_whole(items: int, drains: bool) -> None:
    runtime, told = FakeRuntime(four_words), list[Reconnecting]()
    runtime.items_per_stream, runtime.drains = items, drains
    events = await sent(runtime, impatient(told))
    assert numbers(events) == [1, 2, 3, 4, 5, 6]
    assert len(runtime.inputs) == 1
    assert len(told) == runtime.calls["SendMessage"] - 1
    assert {news.attempt for news in told} == {1}, "every break came after progress"
    assert all((news.error is None) == drains for news in told)


async def test_an_input_whose_answer_was_lost_is_not_given_twice() -> None:
    runtime = FakeRuntime(four_words)
    runtime.refusals = [UNAVAILABLE, UNAVAILABLE]
    assert numbers(await sent(runtime, impatient())) == [1, 2, 3, 4, 5, 6]
    assert len(runtime.inputs) == 1


async def test_it_gives_up_when_coming_back_fails_too_often_in_a_row() -> None:
    runtime, told = FakeRuntime(four_words), list[Reconnecting]()
    runtime.refusals = [UNAVAILABLE] * 10
    with pytest.raises(RuntimeCallError, match="UNAVAILABLE"):
        await sent(runtime, impatient(told, attempts=3))
    assert [news.attempt for news in told] == [1, 2, 3]
    assert all(0 < news.delay <= 5 for news in told)


async def test_it_waits_as_long_as_it_is_told() -> None:
    runtime, told = FakeRuntime(four_words), list[Reconnecting]()
    runtime.refusals = [refusal(code_pb2.UNAVAILABLE, "DATABASE_UNAVAILABLE", retry_seconds=7)]
    await sent(runtime, impatient(told))
    assert [news.delay for news in told] == [7]


async def test_a_slow_reader_comes_back() -> None:
    runtime = FakeRuntime(four_words)
    runtime.refusals = [refusal(code_pb2.ABORTED, "SLOW_CONSUMER", resume_after_sequence="0")]
    assert numbers(await sent(runtime, impatient())) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (code_pb2.UNAVAILABLE, "LLM_UNAVAILABLE"),
        (code_pb2.ABORTED, "TURN_IN_PROGRESS"),
        (code_pb2.NOT_FOUND, "SESSION_NOT_FOUND"),
        (code_pb2.INTERNAL, "INTERNAL"),
    ],
)
async def test_a_refusal_is_told_at_once_with_all_its_details(code: int, reason: str) -> None:
    runtime, told = FakeRuntime(four_words), list[Reconnecting]()
    runtime.refusals = [refusal(code, reason, retry_seconds=1.5, fields={"text": "is blank"}, turn_id="t")]
    with pytest.raises(RuntimeCallError) as caught:
        await sent(runtime, impatient(told))
    error = caught.value
    assert (error.reason, error.metadata, error.retry_delay) == (reason, {"turn_id": "t"}, 1.5)
    assert error.code.value[0] == code
    assert [(wrong.field, wrong.description) for wrong in error.field_violations] == [("text", "is blank")]
    assert (told, runtime.calls["SendMessage"]) == ([], 1)


@pytest.mark.parametrize("items", [1, 3])
async def test_a_watch_begins_with_a_snapshot_and_misses_nothing_after_it(items: int) -> None:
    runtime = FakeRuntime(four_words)
    await runtime.happens(text_delta=TextDelta(message_id="before", text="already in the snapshot"))
    runtime.items_per_stream = items
    async with (
        serving(runtime) as address,
        connect(address, policy=impatient()) as client,
        aclosing(client.watch("s1")) as items_of_watch,
    ):
        first = await anext(items_of_watch)
        assert isinstance(first, SessionSnapshot)
        assert first.as_of_sequence == 1
        await client.submit("s1", UserMessage(text="count"))
        rest = [await anext(items_of_watch) for _ in range(6)]
    assert [item.sequence for item in rest if isinstance(item, SessionEvent)] == [2, 3, 4, 5, 6, 7]


async def test_unary_calls_come_back_too_and_carry_who_calls() -> None:
    runtime = FakeRuntime(four_words)
    runtime.refusals = [UNAVAILABLE]
    async with (
        serving(runtime) as address,
        connect(address, key="k" * 32, owner="alice", policy=impatient()) as client,
    ):
        assert (await client.session("s1")).id == "s1"
        assert (await client.switch_agent("s1", "ask")).agent_context.current_agent == "ask"
    assert runtime.calls == {"GetSession": 2, "SwitchAgent": 1}
    assert {(call["authorization"], call["x-owner-id"]) for call in runtime.metadata} == {
        (f"Bearer {'k' * 32}", "alice")
    }
