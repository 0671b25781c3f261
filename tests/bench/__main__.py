"""`make bench`: measures every figure in one run, prints one table and writes build/bench.json.

`make bench ARGS="P1 P3"` measures some of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import uvloop

from tests.bench.figure import Figure, save, show
from tests.bench.first_token import first_token
from tests.bench.long_sessions import long_sessions
from tests.bench.pool import pool
from tests.bench.routing import routing_shares
from tests.bench.stage import Stage, running_stage
from tests.bench.starting import starting
from tests.bench.statements import round_trips, statements
from tests.bench.streamed_events import streamed_events
from tests.bench.takeover import takeover
from tests.bench.unary import unary
from tests.bench.watched_sessions import watched_sessions


async def first_token_and_round_trips(stage: Stage) -> AsyncIterator[Figure]:
    """Both halves of P2."""
    async for figure in first_token(stage):
        yield figure
    async for figure in round_trips(stage):
        yield figure


FIGURES: Mapping[str, Callable[[Stage], AsyncIterator[Figure]]] = {
    "P1": streamed_events,
    "P2": first_token_and_round_trips,
    "P3": unary,
    "P4": watched_sessions,
    "P5": long_sessions,
    "P6": statements,
    "P8": pool,
    "P9": starting,
    "P10": takeover,
    "routing": routing_shares,
}


async def measure(names: list[str]) -> list[str]:
    """Measures these figures, in this order; the names of those that could not be measured."""
    figures: list[Figure] = []
    failed: list[str] = []
    loads = [os.getloadavg()[0]]
    async with running_stage() as stage:
        for name in names:
            try:
                figures += [figure async for figure in FIGURES[name](stage)]
            except Exception as error:  # one that fails must not take the others with it
                failed.append(name)
                stage.say(f"{name} could not be measured: {error!r}")
            loads.append(os.getloadavg()[0])
    title = f"make bench, {os.cpu_count()} cores, load average {loads[0]:.1f} before, {max(loads):.1f} at most"
    show(figures, title)
    save(figures, Path("build") / "bench.json")
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description="Measures what is promised about speed.")
    parser.add_argument("figures", nargs="*", help=f"some of {', '.join(FIGURES)}; all unless given")
    names = parser.parse_args().figures
    if unknown := set(names) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    if failed := uvloop.run(measure(names or list(FIGURES))):
        sys.exit(f"not measured: {', '.join(failed)}")


if __name__ == "__main__":
    main()
