"""Runs rows of this folder from the command line: `python -m tests.faults.points 2 15 --size full --seed 7`."""

from __future__ import annotations

import argparse
import asyncio
import random
import time
import traceback
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from tests.faults.harness.verdict import Verdict
from tests.faults.points.deployment import Size
from tests.faults.points.matrix import row_02
from tests.faults.points.row_15 import row_15
from tests.faults.points.row_16 import row_16
from tests.faults.points.row_17 import row_17
from tests.faults.points.row_27 import row_27

Row = Callable[[Size, int], Coroutine[Any, Any, Verdict]]


def measured(number: int, row: Row) -> Row:
    """The row; if it cannot be measured it has failed, and says so in its line."""

    async def run(size: Size, seed: int) -> Verdict:
        try:
            return await row(size, seed)
        except Exception as error:
            traceback.print_exc()
            return Verdict(number, seed, (), (f"it could not be measured: {error!r}"[:500],))

    return run


ROWS: Mapping[int, Row] = {
    number: measured(number, row)
    for number, row in ((2, row_02), (15, row_15), (16, row_16), (17, row_17), (27, row_27))
}


def main() -> int:
    """Prints a line per row; returns how many failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.points")
    parser.add_argument("rows", nargs="*", type=int, help="which rows; all if none")
    parser.add_argument("--size", choices=("reduced", "full"), default="reduced")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    failed = 0
    for row in given.rows or sorted(ROWS):
        started = time.monotonic()
        verdict = asyncio.run(ROWS[row](given.size, given.seed))
        print(f"{verdict.complaint}\n  {time.monotonic() - started:.0f} s", flush=True)
        failed += not verdict.passed
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
