"""Row 10: an event loop that stands still, and more work than there is time for."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
import time
from datetime import datetime

import grpc

from devtools.runtime_process import RuntimeProcess
from tests.faults.harness import blocked_server
from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.rows.row_10_excess import excess
from tests.support.health import NOT_SERVING, SERVING, HealthClient

ROW = 10
REDUCED, FULL = 3, 5
_ASKED_EVERY = 0.1
_PATIENCE = 30.0
_EXCESS_SECONDS = 60.0


async def run(blocked: int, seed: int) -> Verdict:
    """Blocks the loop for so many seconds; at full size also asks for more than can be done."""
    measures, found = await _stand_still(blocked)
    if blocked > REDUCED:
        more, broken = await excess(_EXCESS_SECONDS)
        measures, found = [*measures, *more], [*found, *broken]
    return Verdict(ROW, seed, tuple(measures), tuple(found))


async def _stand_still(seconds: int) -> tuple[list[Measure], list[str]]:
    """What health and the log say of a loop that stands still."""
    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/runtime.db"
        settings = {blocked_server.SECONDS: str(seconds)}
        async with RuntimeProcess(url, "http://127.0.0.1:1/v1", settings, program=blocked_server.__name__) as process:
            async with grpc.aio.insecure_channel(process.address) as channel:
                health = HealthClient(channel)
                await health.becomes(SERVING)
                began, began_at = time.monotonic(), time.time()
                os.kill(process.pid, signal.SIGUSR1)
                answers = await _answers(health, began, seconds)
            log = process.log
            lines = [line for line in log.read_text(encoding="utf-8").splitlines() if line.startswith("{")]
    records = [json.loads(line) for line in lines]
    stands = [record for record in records if record["event"] == "the event loop stands still"]
    told = [datetime.fromisoformat(record["timestamp"]).timestamp() - began_at for record in stands]
    well_told = [at for at, status in answers if status == SERVING and at < seconds]
    after = [(at, status) for at, status in answers if at >= seconds]
    measures = [
        Measure("blocked", seconds),
        Measure("serving_said_for", max(well_told, default=0.0), at_most=2.0, timed=True),
        Measure("stacks", len(stands), at_most=1, at_least=1),
        Measure("stack_after", max(told, default=99.0), at_most=2.0, timed=True),
        Measure("serving_again_after", answers[-1][0] - seconds, at_most=5.0, timed=True),
    ]
    found = []
    if not any(blocked_server.stand_still.__name__ in record["stack"] for record in stands):
        found.append("the log does not say where the loop stood")
    if not after or after[0][1] != NOT_SERVING:
        found.append("the first word after the loop stood still was not NOT_SERVING")
    return measures, found


async def _answers(health: HealthClient, began: float, seconds: int) -> list[tuple[float, int]]:
    """What health answers, and when, until it has said SERVING again after the loop stood still."""
    answers: list[tuple[float, int]] = []
    asking = set()

    async def ask() -> None:
        status = await health.check()
        answers.append((time.monotonic() - began, status))

    async with asyncio.timeout(_PATIENCE):
        while not (answers and answers[-1][0] > seconds and answers[-1][1] == SERVING):
            asking.add(asyncio.create_task(ask()))
            await asyncio.sleep(_ASKED_EVERY)
    await asyncio.gather(*asking)
    return answers
