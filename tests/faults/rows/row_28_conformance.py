"""Row 28 again: what storage promises on PostgreSQL, every test of it, through a pooler in transaction mode."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

from tests.faults.harness.verdict import Measure, Verdict

ROW = 28
LEG = "conformance"
REDUCED, FULL = 1, 3

_PROJECT = Path(__file__).parents[3]
_COUNTS = re.compile(r"(\d+) (passed|failed|errors?|skipped)")


async def run(times: int, seed: int) -> Verdict:
    """Runs them so many times."""
    counts = {"passed": 0, "failed": 0, "error": 0, "skipped": 0}
    violations: list[str] = []
    for _ in range(times):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "postgresql", "tests/conformance"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=_PROJECT,
            env=os.environ | {"TEST_POSTGRES_POOLED": "1", "GRPC_ENABLE_FORK_SUPPORT": "0"},
        )
        output = (await process.communicate())[0].decode(errors="replace")
        for count, what in _COUNTS.findall(output.strip().splitlines()[-1]):
            counts[what.removesuffix("s")] += int(count)
        violations += [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return Verdict(
        ROW,
        seed,
        (
            Measure("passed", counts["passed"], at_least=100 * times),
            Measure("failed", counts["failed"] + counts["error"], at_most=0, at_least=0),
            Measure("skipped", counts["skipped"], at_most=0, at_least=0),
        ),
        tuple(violations),
        leg=LEG,
    )
