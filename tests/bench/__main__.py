"""`make bench`: measures every figure in one run, prints one table and writes build/bench.json."""

from __future__ import annotations

from pathlib import Path

from tests.bench.figure import save, show
from tests.bench.routing import routing_shares


def main() -> None:
    figures = [*routing_shares()]
    show(figures)
    save(figures, Path("build") / "bench.json")


if __name__ == "__main__":
    main()
