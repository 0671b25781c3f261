"""What one row of the scoreboard measured, and the line that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUILD = Path(__file__).parents[3] / "build"
_ENOUGH_FOR_P99 = 300


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure of a row; `at_most` and `at_least` are its targets, None where it only informs. A `timed` one says how
    fast something was, which depends on what else the machine does.
    """

    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None
    timed: bool = False

    def met(self, *, untimed: bool = False) -> bool:
        """Whether the figure is within its targets; `untimed` lets every speed pass."""
        if untimed and self.timed:
            return True
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    @property
    def target(self) -> str:
        """The targets, empty without any."""
        if self.at_most == self.at_least and self.at_most is not None:
            return f"{self.name}={self.at_most:g}"
        parts = [f"{self.name}<={self.at_most:g}"] if self.at_most is not None else []
        parts += [f"{self.name}>={self.at_least:g}"] if self.at_least is not None else []
        return ",".join(parts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One row, measured once. `violations` are the broken promises in words; `history` is the file that shows them.

    `leg` says in which other circumstances it was measured than the row itself.
    """

    row: int
    seed: int
    measures: tuple[Measure, ...]
    violations: tuple[str, ...] = ()
    history: Path | None = None
    leg: str = ""

    @property
    def name(self) -> str:
        """`ROW nn`, or `ROW nn-leg`."""
        return f"ROW {self.row:02d}" + (f"-{self.leg}" if self.leg else "")

    @property
    def passed(self) -> bool:
        """Whether every target was met and no promise was broken."""
        return not self.violations and all(measure.met() for measure in self.measures)

    @property
    def kept(self) -> bool:
        """Whether no promise was broken and everything was tried, however long it took: what a test may ask."""
        return not self.violations and all(measure.met(untimed=True) for measure in self.measures)

    @property
    def line(self) -> str:
        """`ROW nn metric=value … target=… PASS|FAIL seed=…`."""
        measures = [Measure("violations", len(self.violations), at_most=0, at_least=0), *self.measures]
        values = " ".join(f"{measure.name}={measure.value:.4g}" for measure in measures)
        target = ",".join(measure.target for measure in measures if measure.target)
        return f"{self.name} {values} target={target} {'PASS' if self.passed else 'FAIL'} seed={self.seed}"

    @property
    def complaint(self) -> str:
        """The line, the first broken promises and where the history is: what a failed test says."""
        shown = [f"  {violation}" for violation in self.violations[:20]]
        return "\n".join([self.line, *shown, *([f"  history: {self.history}"] if self.history else [])])


def write_lines(verdicts: Sequence[Verdict]) -> None:
    """Puts the lines of these rows into build/rows.txt; the lines of other rows stay."""
    path = BUILD / "rows.txt"
    path.parent.mkdir(exist_ok=True)
    replaced = tuple(f"{verdict.name} " for verdict in verdicts)
    kept = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    lines = [line for line in kept if not line.startswith(replaced)] + [verdict.line for verdict in verdicts]
    path.write_text("\n".join(sorted(lines)) + "\n", encoding="utf-8")


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed (nearest rank); 0 without values."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


def spread(name: str, values: Sequence[float], at_most: float) -> tuple[Measure, ...]:
    """Median and tail of a figure. The target is for the 99th percentile; of few values it holds the 90th to it, since
    the 99th would be the worst one, which on a busy machine says nothing.
    """
    enough = len(values) >= _ENOUGH_FOR_P99
    return (
        Measure(f"{name}_p50", percentile(values, 0.5)),
        Measure(f"{name}_p90", percentile(values, 0.9), at_most=None if enough else at_most, timed=True),
        Measure(f"{name}_p99", percentile(values, 0.99), at_most=at_most if enough else None, timed=True),
    )
