"""Which route answers, what its circuit makes of it, and that nothing else stops or opens one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from devtools.scripted_model import (
    Reply,
    When,
    fault,
    gate,
    page,
    pause,
    raw_stream,
    refusal,
    reply,
    text,
)
from services.application.ports.circuits import CircuitState, Need
from services.domain.model_exchange import AnswerSchema, ModelAnswer
from services.infrastructure.circuits import ProcessCircuits
from services.infrastructure.llm import OpenAiModelClient, OpenAiSettings, RetrySettings
from services.infrastructure.llm.failures import FailureKind, UpstreamError
from tests.unit.llm import wire
from tests.unit.llm.asking import question
from tests.unit.llm.routes import world

OK = raw_stream(wire.text("fine") + wire.finish() + wire.DONE)


class TestCircuit:
    async def test_opening_ends_the_retries_and_later_questions_cost_no_request(self) -> None:
        async with world(refusal(503, repeat=True), retry=RetrySettings()) as it:
            assert (await it.fail()).status == 503
            opened = await it.fail()
            assert await it.requests() == 5
            assert (opened.kind, opened.retryable) == (FailureKind.CIRCUIT_OPEN, True)
            assert opened.retry_after == pytest.approx(60)
            it.hands.now += 20
            refused = await it.fail()
            assert await it.requests() == 5
            assert refused.retry_after == it.circuits.open_for(Need.MODEL) == pytest.approx(40)

    async def test_of_a_thousand_questions_one_is_the_probe_and_three_close_it(self) -> None:
        async with world(refusal(500, times=5)) as it:
            await it.fail(5)
            it.hands.now += 60
            for _ in range(3):
                await it.model.play(reply(gate("probe"), text("fine"), repeat=True))
                questions = [asyncio.create_task(it.ask()) for _ in range(1000)]
                await it.model.held("probe")
                done, pending = await _all_but(questions, 1)
                assert {type(task.exception()) for task in done} == {UpstreamError}
                await it.model.release("probe")
                assert (await pending.pop()).text == "fine"
            assert it.state is CircuitState.CLOSED
            assert await it.requests() == 5 + 3

    async def test_a_failed_probe_opens_it_again(self) -> None:
        async with world(refusal(500, times=6)) as it:
            await it.fail(5)
            it.hands.now += 60
            assert (await it.fail()).retry_after == pytest.approx(60)
            assert await it.requests() == 6

    @pytest.mark.parametrize(
        "ill",
        [
            refusal(500, repeat=True),
            refusal(501, repeat=True),
            reply(fault=fault.reset_after(0), repeat=True),
            reply(text("a b"), fault=fault.reset_after(200), repeat=True),
            reply(text("a b"), fault=fault.end_after(200), repeat=True),
            reply(pause(9), repeat=True),
            reply(text("a "), pause(9), repeat=True),
        ],
        ids=["500", "501", "reset", "reset in mid-answer", "truncation", "no token", "stall"],
    )
    async def test_what_counts(self, ill: Reply) -> None:
        async with world(ill, first_token_timeout=0.05, progress_timeout=0.05) as it:
            await it.fail(5)
            assert it.state is CircuitState.OPEN

    @pytest.mark.parametrize(
        "odd",
        [
            *(refusal(status, repeat=True) for status in (400, 401, 404, 422, 429)),
            page("<html>", status=403),
            raw_stream(b"data: {oops\n\n"),
        ],
    )
    async def test_what_does_not_count(self, odd: Reply) -> None:
        async with world(replace_times(odd, 10)) as it:
            await it.fail(10)
            assert (it.state, await it.requests()) == (CircuitState.CLOSED, 10)

    async def test_a_caller_who_leaves_or_fails_says_nothing_about_the_model(self) -> None:
        async with world(reply(text("one "), gate("never"), repeat=True)) as it:
            for _ in range(6):
                async with it.client.stream(question()) as events:
                    await anext(events)
            for _ in range(6):
                with pytest.raises(ZeroDivisionError):
                    await _fail_while_reading(it.client)
            questions = [asyncio.create_task(it.ask()) for _ in range(6)]
            await it.model.held("never", at_least=6)
            for task in questions:
                task.cancel()
            await asyncio.wait(questions)
            assert it.state is CircuitState.CLOSED

    @pytest.mark.parametrize("how", ["left", "cancelled", "closed"])
    async def test_a_probe_whose_caller_leaves_makes_room_for_the_next(self, how: str) -> None:
        async with world(refusal(500, times=5), reply(gate("never")), OK) as it:
            await it.fail(5)
            it.hands.now += 60
            if how == "left":
                await it.model.play(reply(text("one "), gate("never")), OK)
                async with it.client.stream(question()) as events:
                    await anext(events)
            elif how == "closed":
                await it.model.play(reply(text("one "), gate("never")), OK)
                reading = _read(it.client)
                await anext(reading)
                await reading.aclose()
            else:
                task = asyncio.create_task(it.ask())
                await it.model.held("never")
                task.cancel()
                await asyncio.wait([task])
            assert (await it.ask()).text == "fine"

    async def test_a_success_between_failures_starts_the_count_anew(self) -> None:
        failing = refusal(500, times=4)
        async with world(failing, OK, failing, OK) as it:
            for _ in range(2):
                await it.fail(4)
                await it.ask()
            assert it.state is CircuitState.CLOSED

    async def test_one_dead_model_does_not_stop_another(self) -> None:
        dead = Reply(when=When(model="dead"), status=500, repeat=True, body="")
        async with world(dead) as it:
            assert (await it.fail(6, model="dead")).kind is FailureKind.CIRCUIT_OPEN
            assert (await it.ask()).text == "You said: hi"
            assert it.circuits.open_for(Need.MODEL) is None


class TestFallback:
    async def test_answers_at_once_and_is_named(self) -> None:
        dead = Reply(when=When(model="first"), status=503, repeat=True, body="")
        async with world(dead, replace_times(OK, 99), fallbacks=("second",), retry=RetrySettings()) as it:
            for _ in range(8):
                answer = await it.ask()
                assert (answer.text, answer.model) == ("fine", "second")
            assert it.hands.slept == []
            # Five until the first is known to be away, then no more of it.
            assert await it.requests() == 8 + 5
            assert it.circuits.open_for(Need.MODEL) is None
            last = (await it.model.calls())[-1]
            assert (last["body"]["model"], last["headers"]["authorization"]) == ("second", "Bearer their-key")

    async def test_is_not_asked_for_what_nobody_could_answer(self) -> None:
        async with world(refusal(400), fallbacks=("second",)) as it:
            assert (await it.fail()).status == 400
            assert await it.requests() == 1

    async def test_is_asked_when_the_first_refuses_our_key(self) -> None:
        async with world(refusal(401), OK, fallbacks=("second",)) as it:
            assert (await it.ask()).model == "second"

    async def test_is_not_asked_once_an_answer_has_begun(self) -> None:
        async with world(reply(text("a b"), fault=fault.reset_after(200)), OK, fallbacks=("second",)) as it:
            assert (await it.fail()).kind is FailureKind.CONNECTION
            assert await it.requests() == 1

    async def test_all_are_asked_again_after_a_wait_and_away_when_all_are(self) -> None:
        dead = refusal(503, repeat=True)
        async with world(dead, fallbacks=("second",), retry=RetrySettings()) as it:
            await it.fail()
            assert (await it.requests(), len(it.hands.slept)) == (6, 2)
            assert (await it.fail()).kind is FailureKind.CIRCUIT_OPEN
            assert await it.requests() == 10
            assert it.circuits.open_for(Need.MODEL) is not None


class TestShape:
    @pytest.mark.parametrize(
        ("message", "field"),
        [
            ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "max_completion_tokens"),
            ("stream_options: extra inputs are not permitted", None),
            ("Unsupported value: 'temperature' does not support 0.2 with this model.", None),
            ("This response_format type is unavailable now", None),
            ("'json_schema' is not supported with this model", None),
        ],
    )
    async def test_what_a_provider_does_not_take_is_left_out_from_then_on(
        self, message: str, field: str | None
    ) -> None:
        async with world(complaint(message), replace_times(OK, 2)) as it:
            schema = AnswerSchema("route", {"type": "object"})
            asked = replace(question(), temperature=0.2, max_tokens=9, answer_schema=schema)
            for _ in range(2):
                async with it.client.stream(asked) as events:
                    assert [event async for event in events]
            first, second, third = [call["body"] for call in await it.model.calls()]
            assert second == third
            assert len(first) - len(second) == (0 if field else 1)
            assert field is None or field in second

    async def test_a_change_that_does_not_help_is_forgotten(self) -> None:
        async with world(complaint("max_tokens is too large"), complaint("max_completion_tokens is too large")) as it:
            asked = replace(question(), max_tokens=9)
            with pytest.raises(UpstreamError):
                async with it.client.stream(asked):
                    pass
            async with it.client.stream(asked) as events:
                assert [event async for event in events]
            assert ["max_tokens" in call["body"] for call in await it.model.calls()] == [True, False, True]

    async def test_a_refusal_of_anything_else_is_final(self) -> None:
        async with world(complaint("you talk too much")) as it:
            await it.fail()
            assert await it.requests() == 1

    async def test_an_unknown_profile_is_refused_at_once(self) -> None:
        with pytest.raises(ValueError, match="profile"):
            OpenAiModelClient(OpenAiSettings("http://x", "m", profile="none"), ProcessCircuits())


def complaint(message: str) -> Reply:
    return Reply(status=400, body=json.dumps({"error": {"message": message}}))


def replace_times(answer: Reply, times: int) -> Reply:
    return Reply(**{name: getattr(answer, name) for name in answer.__struct_fields__} | {"times": times})


Tasks = set[asyncio.Task[ModelAnswer]]


async def _all_but(tasks: list[asyncio.Task[ModelAnswer]], left: int) -> tuple[Tasks, Tasks]:
    """Those that have ended, once all but so many have."""
    pending: Tasks = set(tasks)
    done: Tasks = set()
    while len(pending) > left:
        finished, pending = await asyncio.wait(pending, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        done |= finished
    return done, pending


async def _fail_while_reading(client: OpenAiModelClient) -> None:
    async with client.stream(question()) as events:
        await anext(events)
        raise ZeroDivisionError


async def _read(client: OpenAiModelClient) -> AsyncGenerator[object, None]:
    async with client.stream(question()) as events:
        async for event in events:
            yield event
