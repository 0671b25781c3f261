"""One measured figure, and the table and file that a run of all of them leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`, what it is measured against, and whether the goal is met (None: it has none)."""

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    baseline: float | None = None
    ratio: float | None = None


def show(figures: Sequence[Figure]) -> None:
    """Prints one table."""
    table = Table(title="make bench", title_justify="left")
    table.add_column("figure")
    for column in ("value", "baseline", "ratio"):
        table.add_column(column, justify="right")
    table.add_column("goal")
    table.add_column("met")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.value:,.4g} {figure.unit}".strip(),
            "" if figure.baseline is None else f"{figure.baseline:,.4g}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.goal,
            {None: "", True: "yes", False: "NO"}[figure.met],
        )
    Console(width=120).print(table)


def save(figures: Sequence[Figure], path: Path) -> None:
    """Writes the figures as one JSON object by name."""
    path.parent.mkdir(exist_ok=True)
    by_name = {figure.name: {k: v for k, v in asdict(figure).items() if k != "name"} for figure in figures}
    path.write_text(json.dumps(by_name, indent=2) + "\n", encoding="utf-8")
