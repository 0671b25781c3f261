"""Row 7: every fault of a model, wherever in a turn it strikes, ends in one defined way, and the session goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rpc.model_faults.faults import FAULTS
from tests.rpc.model_faults.flows import FLOWS
from tests.rpc.model_faults.matrix import run_matrix


@pytest.mark.timeout(400)
async def test_every_fault_in_every_flow_ends_as_it_must(tmp_path: Path) -> None:
    cells = [cell async for cell in run_matrix(tmp_path)]
    assert [cell.line for cell in cells if cell.wrong] == []
    # Those of nobody listening, and the model's judgement of each of the two servers.
    assert len(cells) == (len(FAULTS) + 1) * len(FLOWS) + 2
