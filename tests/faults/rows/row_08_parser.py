"""Row 8: any stream of a provider, cut anywhere, means the same; damaged anywhere, it raises nothing unexpected."""

from __future__ import annotations

import random
from functools import partial

from services.infrastructure.llm.failures import UpstreamError
from tests.faults.harness.verdict import Measure, Verdict
from tests.unit.llm.streams import any_stream, cut, damaged, outcome
from tests.unit.llm.throughput import decoder_throughput, lines_run, long_answer, read

ROW = 8
REDUCED, FULL = 5_000, 100_000
_MEGABYTES = 10.0


async def run(streams: int, seed: int) -> Verdict:
    """Reads so many streams cut at random, and as many damaged ones."""
    rng = random.Random(seed)
    other = raised = 0
    for _ in range(streams):
        body = any_stream(rng)
        places = [rng.randrange(len(body) + 1) for _ in range(rng.randrange(1, 30))]
        other += outcome(cut(body, places)) != outcome([body])
        try:
            outcome([damaged(rng, body)])
        except Exception:
            raised += 1
    small, large = (lines_run(partial(_read, long_answer(megabytes))) for megabytes in (0.1, 0.4))
    return Verdict(
        ROW,
        seed,
        (
            Measure("streams", streams),
            Measure("read_otherwise", other, at_most=0, at_least=0),
            Measure("raised", raised, at_most=0, at_least=0),
            Measure("mb_per_s", decoder_throughput(_MEGABYTES), at_least=10),
            Measure("work_of_four_times_the_bytes", large / small, at_most=4.2),
        ),
    )


def _read(body: bytes) -> None:
    try:
        read(body)
    except UpstreamError:
        return
