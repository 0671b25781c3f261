"""Row 22: what a model in trouble gets from us: few retries, at the times it asked for, and then nothing but probes."""

from __future__ import annotations

import asyncio
import random
from functools import partial
from itertools import islice

from devtools.scripted_model import Reply, When, gate, refusal, reply, text
from services.application.ports.circuits import CircuitState
from services.infrastructure.circuits import CircuitLimits
from services.infrastructure.llm import Retries, RetrySettings
from services.infrastructure.llm.failures import UpstreamError, rejected_status
from tests.faults.harness.verdict import Measure, Verdict
from tests.unit.llm.routes import ONCE, World, world

ROW = 22
REDUCED, FULL = 300, 3_000
_NEVER_OPENS = CircuitLimits(failures=1_000_000, open_time=60.0, successes=3)
_PROBED_BY = 1_000
_KS_AT_ONE_PERCENT = 1.63


async def run(questions: int, seed: int) -> Verdict:
    """Asks a dead model so many questions, with and without a circuit, by a clock that only the row moves."""
    waits, distance = await _waits(questions, seed)
    admitted, closed_after = await _half_open()
    return Verdict(
        ROW,
        seed,
        (
            Measure("questions", questions),
            Measure("amplification", await _amplification(questions, _NEVER_OPENS), at_most=1.2, at_least=1.0),
            Measure("amplification_with_circuit", await _amplification(questions, None), at_most=1.2),
            Measure("retry_after_missed_by", waits, at_most=0.5),
            Measure("jitter_ks", distance, at_most=_KS_AT_ONE_PERCENT),
            Measure("half_open_admits", admitted, at_most=1, at_least=1),
            Measure("closed_after", closed_after, at_most=61.0, at_least=60.0),
            Measure("opened_by_4xx", await _opened_by_refusals(), at_most=0, at_least=0),
            Measure("others_answered", await _others_answered(), at_most=1, at_least=1),
        ),
    )


async def _amplification(questions: int, limits: CircuitLimits | None) -> float:
    """Requests for each question to a model that answers none."""
    async with world(refusal(503, repeat=True), retry=RetrySettings(), limits=limits) as it:
        await asyncio.gather(*(it.fail() for _ in range(questions)))
        return await it.requests() / questions


async def _waits(samples: int, seed: int) -> tuple[float, float]:
    """By how much a Retry-After was missed at most, and how far from even the other waits are (Kolmogorov-Smirnov)."""
    rng = random.Random(seed)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    twice = RetrySettings(attempts=2, budget_floor=2 * samples)
    retries = Retries(twice, sleep=sleep, uniform=rng.uniform)

    async def fail(retry_after: float | None) -> None:
        error = rejected_status(503)
        error.retry_after = retry_after
        raise error

    async def asked(retry_after: float | None) -> float:
        try:
            await retries.run(partial(fail, retry_after))
        except UpstreamError:
            return slept[-1]
        raise AssertionError("a failure was not raised")

    wanted = [rng.uniform(0.0, 60.0) for _ in range(samples)]
    missed = max([abs(await asked(seconds) - seconds) for seconds in wanted])
    ranked = sorted([await asked(None) for _ in range(samples)])
    low, high = twice.min_wait, 2 * twice.min_wait
    return missed, max(abs((wait - low) / (high - low) - n / samples) for n, wait in enumerate(ranked)) * samples**0.5


async def _half_open() -> tuple[float, float]:
    """How many of a thousand questions at once reach a half-open model, and when it closes after it has opened."""
    async with world(refusal(500, times=5)) as it:
        await it.fail(5)
        opened_at = it.hands.now
        it.hands.now += 60
        admitted = []
        while it.state is not CircuitState.CLOSED:
            await it.model.play(reply(gate("probe"), text("fine"), repeat=True))
            before = await it.requests()
            asking = [asyncio.create_task(_answered(it)) for _ in range(_PROBED_BY)]
            for refused in islice(asyncio.as_completed(asking), _PROBED_BY - 1):
                await refused
            admitted.append(await it.requests() - before)
            await it.model.release("probe")
            await asyncio.wait(asking)
            it.hands.now += 0.1
        return max(admitted), it.hands.now - opened_at


async def _opened_by_refusals() -> int:
    """How many kinds of refusal open the circuit when they come often."""
    opened = 0
    for status in (400, 401, 403, 404, 408, 409, 413, 422, 425, 429):
        async with world(refusal(status, repeat=True), retry=ONCE) as it:
            await it.fail(20)
            opened += it.state is not CircuitState.CLOSED
    return opened


async def _others_answered() -> float:
    """The share of another model's questions that are answered while the first one's circuit is open."""
    dead = Reply(when=When(model="dead"), status=500, repeat=True, body="")
    async with world(dead) as it:
        await it.fail(6, model="dead")
        answers = await asyncio.gather(*(_answered(it) for _ in range(50)))
        return sum(answers) / len(answers)


async def _answered(it: World) -> bool:
    try:
        return bool((await it.ask()).text)
    except UpstreamError:
        return False
