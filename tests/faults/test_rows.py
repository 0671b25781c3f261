"""The reduced rows as tests; each starts everything it breaks."""

from __future__ import annotations

import pytest

from tests.faults.harness.verdict import write_lines
from tests.faults.scoreboard import PROCESS_ROWS

SEED = 1


@pytest.mark.timeout(240)
@pytest.mark.parametrize("row", sorted(PROCESS_ROWS))
async def test_row(row: int) -> None:
    verdict = await PROCESS_ROWS[row]("reduced", SEED)
    write_lines([verdict])
    assert verdict.kept, verdict.complaint
