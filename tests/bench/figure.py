"""One measured figure, and the table and file that a run of all of them leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`, what it is measured against, and whether the goal is met (None: it has none).

    Figures of one `name` are parts of it, such as one for each database, told apart by `part`. `note` says what a
    reader must know to believe the value.
    """

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    baseline: float | None = None
    ratio: float | None = None
    part: str = ""
    note: str = ""


def show(figures: Sequence[Figure], title: str) -> None:
    """Prints one table, and the notes below it."""
    table = Table(title=title, title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("baseline", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("goal")
    table.add_column("met")
    for figure in figures:
        table.add_row(
            f"{figure.name} {figure.part}".strip(),
            f"{figure.value:,.4g} {figure.unit}".strip(),
            "" if figure.baseline is None else f"{figure.baseline:,.4g}",
            "" if figure.ratio is None else f"{figure.ratio:.2f}",
            figure.goal,
            {None: "", True: "yes", False: "NO"}[figure.met],
        )
    console = Console(width=120, highlight=False)
    console.print(table)
    for figure in figures:
        if figure.note:
            console.print(f"{figure.name} {figure.part}: {figure.note}", soft_wrap=True)


def save(figures: Sequence[Figure], path: Path) -> None:
    """Writes one JSON object by name: the part that decides whether the goal is met, and under `parts` all of them."""
    document = {}
    for name, group in groupby(figures, lambda figure: figure.name):
        parts = list(group)
        decisive = next((part for part in parts if part.met is False), parts[0])
        document[name] = _fields(decisive) | {"parts": {part.part: _fields(part) for part in parts}}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _fields(figure: Figure) -> dict[str, object]:
    return {name: value for name, value in asdict(figure).items() if name not in ("name", "part")}
