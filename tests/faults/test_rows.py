"""The reduced rows as tests; each starts everything it breaks."""

from __future__ import annotations

import pytest

from tests.faults.harness.verdict import write_lines
from tests.faults.rows import row_22_retries
from tests.faults.scoreboard import CROWD_ROWS, PROCESS_ROWS, ROWS

SEED = 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("row", [*sorted(PROCESS_ROWS), *sorted(CROWD_ROWS), row_22_retries.ROW])
async def test_row(row: int) -> None:
    verdict = await ROWS[row]("reduced", SEED)
    write_lines([verdict])
    assert verdict.kept, verdict.complaint
