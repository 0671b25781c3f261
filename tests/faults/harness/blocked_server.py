"""The server, with a way to make its event loop stand still: SIGUSR1, for so many seconds as a setting says."""

from __future__ import annotations

import os
import signal
import time

SECONDS = "BLOCKED_SECONDS"  # an unknown one to the server, which warns of it


def stand_still(*_: object) -> None:
    """What a careless library does."""
    time.sleep(float(os.environ[f"AGENT_RUNTIME__{SECONDS}"]))


if __name__ == "__main__":
    # By Python and not by the loop, yet in the thread of the loop.
    signal.signal(signal.SIGUSR1, stand_still)
    from server.cli import app

    app(prog_name="agent-runtime")
