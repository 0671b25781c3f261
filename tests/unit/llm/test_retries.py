"""What is asked again, after what wait, and how much of it the provider has to bear."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from tenacity import AsyncRetrying, Future, RetryCallState

from devtools.scripted_model import (
    Reply,
    call,
    fault,
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
from devtools.scripted_model.script import Part
from services.domain.model_exchange import ModelAnswer
from services.infrastructure.llm import OpenAiModelClient, OpenAiSettings, Retries, RetrySettings
from services.infrastructure.llm.failures import FailureKind, UpstreamError, rejected_status, stalled
from tests.unit.llm.asking import question
from tests.unit.llm.circuits import Hands, patient_circuits


@asynccontextmanager
async def patient_client(url: str, hands: Hands, **settings: float) -> AsyncIterator[OpenAiModelClient]:
    """A client whose waits take no time and whose circuits stay closed."""
    chosen = OpenAiSettings(url, "small", **settings)  # type: ignore[arg-type]
    retries = Retries(chosen.retry, sleep=hands.sleep, monotonic=hands)
    async with aclosing(OpenAiModelClient(chosen, patient_circuits(), retries)) as client:
        yield client


async def ask(client: OpenAiModelClient) -> ModelAnswer:
    async with client.stream(question()) as events:
        answer = [event async for event in events][-1]
    assert isinstance(answer, ModelAnswer)
    return answer


async def requests_for(*replies: Reply, **settings: float) -> tuple[int, UpstreamError | None, list[float]]:
    """How many requests one question takes, how it fails if it does, and the waits."""
    hands = Hands()
    failed: UpstreamError | None = None
    async with running_scripted_model(*replies) as model, patient_client(model.url, hands, **settings) as client:
        try:
            await ask(client)
        except UpstreamError as error:
            failed = error
        return (await model.counts())["calls"], failed, hands.slept


class TestWhat:
    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
    async def test_what_passes_is_asked_again_three_times_in_all(self, status: int) -> None:
        assert (await requests_for(refusal(status, times=2)))[:2] == (3, None)
        requests, failed, waits = await requests_for(refusal(status, repeat=True))
        assert failed is not None
        assert (requests, failed.status, failed.retryable, len(waits)) == (3, status, True, 2)
        assert failed.retry_after == 10.0

    @pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 408, 409, 422, 425, 501, 505, 507])
    async def test_every_other_status_is_final(self, status: int) -> None:
        assert (await requests_for(refusal(status, repeat=True)))[0] == 1

    @pytest.mark.parametrize(
        "silence",
        [
            reply(first_delay=9, times=2),
            reply(pause(9), times=2),
            reply(fault=fault.reset_after(0), times=2),
            reply(fault=fault.cut_after(0), times=2),
            reply(in_band_error("overloaded", code=503), times=2),
            reply(in_band_error("?"), times=2),
        ],
        ids=["no headers", "no token", "reset", "cut", "in band", "in band without code"],
    )
    async def test_nothing_heard_is_asked_again(self, silence: Reply) -> None:
        assert (await requests_for(silence, first_token_timeout=0.1))[:2] == (3, None)

    async def test_nobody_there_is_asked_again(self) -> None:
        hands = Hands()
        async with running_scripted_model() as model:
            url = model.url
        async with patient_client(url, hands) as client:
            with pytest.raises(UpstreamError) as failed:
                await ask(client)
        assert (failed.value.kind, len(hands.slept)) == (FailureKind.CONNECTION, 2)

    @pytest.mark.parametrize(
        "begun",
        [text("one "), reasoning("hm "), tool_calls(call("read_file", {"path": "a"}), chunk_characters=4)],
        ids=["text", "reasoning", "tool call"],
    )
    @pytest.mark.parametrize("end", ["reset", "cut", "stall", "in band"])
    async def test_an_answer_that_has_begun_is_never_asked_for_again(self, begun: Part, end: str) -> None:
        broken = {
            "reset": reply(begun, pause(0.05), text("two " * 50), fault=fault.reset_after(3000)),
            "cut": reply(begun, pause(0.05), text("two " * 50), fault=fault.cut_after(3000)),
            "stall": reply(begun, pause(9)),
            "in band": reply(begun, in_band_error("overloaded", code=503)),
        }
        requests, failed, _ = await requests_for(broken[end], progress_timeout=0.2)
        assert requests == 1
        assert failed is not None
        assert failed.retryable

    @pytest.mark.parametrize(
        "nonsense",
        [raw_stream(), raw_stream(b"data: {oops\n\n"), page("<html>bad gateway")],
        ids=["empty", "garbage", "page"],
    )
    async def test_nonsense_is_left_to_the_caller(self, nonsense: Reply) -> None:
        requests, failed, _ = await requests_for(nonsense)
        assert requests == 1
        assert failed is not None
        assert failed.retryable


class TestWait:
    async def test_retry_after_is_kept(self) -> None:
        for asked in (0.0, 7.0, 60.0):
            _, _, waits = await requests_for(refusal(429, retry_after=f"{asked:g}", times=2))
            assert len(waits) == 2
            assert all(asked <= wait <= asked + 0.5 for wait in waits)

    async def test_more_than_a_minute_is_cut_and_handed_on(self) -> None:
        _, failed, waits = await requests_for(refusal(503, retry_after="3600", repeat=True))
        assert all(60 <= wait <= 60.5 for wait in waits)
        assert failed is not None
        assert failed.retry_after == 60.0

    def test_it_grows_and_is_spread_evenly(self) -> None:
        rng = random.Random(5)
        retries = Retries(RetrySettings(), uniform=rng.uniform)
        for attempts, high in ((1, 4.0), (2, 8.0), (3, 10.0), (9, 10.0)):
            waits = sorted(retries.wait(after(attempts, stalled())) for _ in range(1000))
            assert 2.0 <= waits[0] <= waits[-1] <= high
            # Kolmogorov-Smirnov against even spread; 1.63 is the bound of p = 0.01.
            distance = max(abs((wait - 2.0) / (high - 2.0) - n / 1000) for n, wait in enumerate(waits))
            assert distance * 1000**0.5 < 1.63

    async def test_cancelling_ends_it(self) -> None:
        waiting = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waiting.set()
            await asyncio.Event().wait()

        async with running_scripted_model(refusal(503, repeat=True)) as model:
            retries = Retries(RetrySettings(), sleep=sleep)
            client = OpenAiModelClient(OpenAiSettings(model.url, "small"), patient_circuits(), retries)
            async with aclosing(client):
                asking = asyncio.create_task(ask(client))
                await waiting.wait()
                asking.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await asking
            assert (await model.counts())["calls"] == 1


class TestBudget:
    async def test_a_fifth_of_many_questions_is_asked_again(self) -> None:
        hands = Hands()
        async with (
            running_scripted_model(refusal(503, repeat=True)) as model,
            patient_client(model.url, hands) as client,
        ):
            failures = await asyncio.gather(*(ask(client) for _ in range(300)), return_exceptions=True)
            assert {type(failure) for failure in failures} == {UpstreamError}
            assert 300 < (await model.counts())["calls"] <= 300 * 1.2

    async def test_three_a_minute_are_always_allowed(self) -> None:
        hands = Hands()
        retries = Retries(RetrySettings(), sleep=_at_once, monotonic=hands)
        requests = 0

        async def fail() -> None:
            nonlocal requests
            requests += 1
            raise rejected_status(503)

        for expected in (3, 5, 6, 7):
            with pytest.raises(UpstreamError):
                await retries.run(fail)
            assert requests == expected
        hands.now += 60
        with pytest.raises(UpstreamError):
            await retries.run(fail)
        assert requests == 10

    async def test_what_a_retry_cannot_help_costs_none_of_it(self) -> None:
        hands = Hands()
        retries = Retries(RetrySettings(), sleep=hands.sleep, monotonic=hands)

        async def refuse() -> None:
            raise rejected_status(400)

        for _ in range(20):
            with pytest.raises(UpstreamError):
                await retries.run(refuse)
        assert hands.slept == []


def after(attempts: int, error: Exception) -> RetryCallState:
    """The moment after so many attempts, of which the last failed like this."""
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = attempts
    state.outcome = Future.construct(attempts, error, has_exception=True)
    return state


async def _at_once(seconds: float) -> None:
    """Sleeps for no time at all."""
