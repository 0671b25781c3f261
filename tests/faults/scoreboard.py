"""The rows of the scoreboard that inject faults, in a reduced size for every change and a full one for releases."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any, Literal

from tests.faults.harness.verdict import Measure, Verdict
from tests.faults.points.__main__ import ROWS as ROWS_OF_POINTS
from tests.faults.rows import (
    row_01_kill,
    row_03_zombie,
    row_04_postgres_restart,
    row_06_resume,
    row_07_model_faults,
    row_08_parser,
    row_09_open_streams,
    row_10_overload,
    row_11_slow_readers,
    row_12_cancel_churn,
    row_13_fuzz,
    row_14_transport,
    row_19_graceful_stop,
    row_21_fairness,
    row_22_retries,
    row_23_secrets,
    row_28_conformance,
    row_28_pool,
)

Size = Literal["reduced", "full"]
Row = Callable[[Size, int], Coroutine[Any, Any, Verdict]]

_REFUSED = "refused_by_model"
_POOLED = "pooled"


async def _sized(module: ModuleType, size: Size, seed: int, *, leg: str = "", **circumstances: bool) -> Verdict:
    """A row that cannot be measured has failed, and says so in its line."""
    count: int = module.REDUCED if size == "reduced" else module.FULL
    try:
        verdict: Verdict = await module.run(count, seed, **circumstances)
    except Exception as error:
        traceback.print_exc()
        return Verdict(module.ROW, seed, (), (f"it could not be measured: {error!r}",), leg=leg)
    return replace(verdict, leg=leg)


PROCESS_ROWS: Mapping[int, Row] = {
    module.ROW: partial(_sized, module)
    for module in (
        row_01_kill,
        row_03_zombie,
        row_04_postgres_restart,
        row_06_resume,
        row_10_overload,
        row_13_fuzz,
        row_14_transport,
        row_19_graceful_stop,
        row_21_fairness,
        row_23_secrets,
        row_28_pool,
    )
}
"""Rows that break processes, connections and databases from outside."""

CROWD_ROWS: Mapping[int, Row] = {
    module.ROW: partial(_sized, module) for module in (row_09_open_streams, row_11_slow_readers, row_12_cancel_churn)
}
"""Rows about very many, very slow and very fickle readers; what they measure needs a quiet machine."""

MODEL_ROWS: Mapping[int, Row] = {
    module.ROW: partial(_sized, module) for module in (row_07_model_faults, row_08_parser, row_22_retries)
}
"""Rows about a model in trouble, most of them by a clock that they move."""

POOLED_LEGS: Mapping[int, Sequence[Row]] = {
    row_01_kill.ROW: [partial(_sized, row_01_kill, leg=_POOLED, pooled=True)],
    row_04_postgres_restart.ROW: [partial(_sized, row_04_postgres_restart, leg=_POOLED, pooled=True)],
    row_28_pool.ROW: [
        partial(_sized, row_28_pool, leg=_POOLED, pooled=True),
        partial(_sized, row_28_conformance, leg=row_28_conformance.LEG),
    ],
}
"""Rows measured again with a pooler in transaction mode before the database; they fail where there is no pgbouncer."""

ROWS: Mapping[int, Row] = {**PROCESS_ROWS, **CROWD_ROWS, **MODEL_ROWS, **ROWS_OF_POINTS}
"""All of them, with those that fail at chosen steps inside the process."""


def row_18(verdicts: Sequence[Verdict], seed: int) -> Verdict:
    """Row 18, which every other row measures on the way: after each fault each session took one message more."""
    refused = sum(measure.value for verdict in verdicts for measure in verdict.measures if measure.name == _REFUSED)
    unusable = [violation for verdict in verdicts for violation in verdict.violations if "G4:" in violation]
    return Verdict(
        18,
        seed,
        (Measure("rows", len(verdicts)), Measure(_REFUSED, refused, at_most=0, at_least=0)),
        tuple(unusable),
    )
