"""The reduced rows of this folder as tests; each starts everything it breaks."""

from __future__ import annotations

import pytest

from tests.faults.harness.verdict import write_lines
from tests.faults.points.__main__ import ROWS

SEED = 1


@pytest.mark.timeout(400)
@pytest.mark.parametrize("row", sorted(ROWS))
async def test_row(row: int) -> None:
    verdict = await ROWS[row]("reduced", SEED)
    write_lines([verdict])
    assert verdict.kept, verdict.complaint
