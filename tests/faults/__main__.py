"""`make faults` and `make soak`: runs rows, prints a line for each, writes build/rows.txt."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import sys
import time
import warnings

# Replicas are started anew, never forked; without this, gRPC prints a line whenever one is.
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
# The packaged PostgreSQL looks for a runtime directory when it is imported; the fallback is good.
warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")


def main() -> int:
    """Returns 1 when a row failed."""
    # Rows that run the runtime's code in this process have it say nothing between their lines.
    logging.getLogger().addHandler(logging.NullHandler())
    from tests.faults.harness.verdict import write_lines
    from tests.faults.scoreboard import POOLED_LEGS, ROWS, row_18

    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--row", type=int, action="append", choices=sorted(ROWS), help="may be repeated; default: all")
    parser.add_argument("--size", choices=("reduced", "full"), default="reduced")
    parser.add_argument("--pooled", action="store_true", help="some again through pgbouncer; always at full size")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="replays the same choices")
    given = parser.parse_args()
    verdicts = []
    pooled = given.pooled or given.size == "full"
    for row in given.row or sorted(ROWS):
        for measured in (ROWS[row], *(POOLED_LEGS.get(row, ()) if pooled else ())):
            started = time.monotonic()
            verdict = asyncio.run(measured(given.size, given.seed))
            print(f"{verdict.complaint}  ({time.monotonic() - started:.0f} s)", flush=True)
            verdicts.append(verdict)
    verdicts.append(row_18(verdicts, given.seed))
    print(verdicts[-1].line)
    write_lines(verdicts)
    return 0 if all(verdict.passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
