"""The server with failpoints: its own command, its durable steps wired; the environment says where its points are."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.faults.points.failpoints import Failpoints

DIRECTORY = "FAILPOINTS_DIRECTORY"


def main(arguments: Sequence[str]) -> None:
    """Runs the server's command with these arguments. gRPC is imported here, and not before."""
    os.environ["GRPC_VERBOSITY"] = "NONE"
    from server.cli import app
    from tests.faults.points.wiring import install

    install(Failpoints(Path(os.environ[DIRECTORY])))
    app(list(arguments), standalone_mode=False)
