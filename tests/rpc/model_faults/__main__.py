"""`python -m tests.rpc.model_faults`: one line for each fault in each flow, and whether all ended as they must."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.rpc.model_faults.matrix import run_matrix


async def print_cells() -> int:
    """Prints the lines as the cells end. Returns how many are wrong."""
    cells = wrong = 0
    with tempfile.TemporaryDirectory(prefix="model-faults-") as directory:
        async for cell in run_matrix(Path(directory)):
            print(cell.line, flush=True)
            cells += 1
            wrong += bool(cell.wrong)
    print(f"ROW 07 cells={cells} violations={wrong} target=violations=0 {'FAIL' if wrong else 'PASS'}")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if asyncio.run(print_cells()) else 0)
