"""Row 7: every fault of a model in every place of a turn ends in one defined way, and the session goes on."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.faults.harness.verdict import Measure, Verdict
from tests.rpc.model_faults.faults import FAULTS
from tests.rpc.model_faults.flows import FLOWS
from tests.rpc.model_faults.matrix import run_matrix

ROW = 7
REDUCED, FULL = 1, 5


async def run(times: int, seed: int) -> Verdict:
    """Runs the whole matrix so many times."""
    cells = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="row-07-") as directory:
            cells += [cell async for cell in run_matrix(Path(directory))]
    return Verdict(
        ROW,
        seed,
        (
            Measure("faults", len(FAULTS) + 1),
            Measure("flows", len(FLOWS)),
            Measure("cells", len(cells), at_least=times * (len(FAULTS) + 1) * len(FLOWS)),
            Measure("slowest", max(cell.seconds for cell in cells)),
        ),
        tuple(cell.line for cell in cells if cell.wrong),
    )
