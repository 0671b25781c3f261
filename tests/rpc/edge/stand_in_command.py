"""The real command around the stand-in composition root: `python -m tests.rpc.edge.stand_in_command serve …`."""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

import server
from server.cli import app


class StandIn(types.ModuleType):
    """Imported when the command asks for it, just as the real one: gRPC must not be there before."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module("tests.rpc.edge.stand_in_bootstrap"), name)


if __name__ == "__main__":
    assert "grpc" not in sys.modules
    sys.modules["server.bootstrap"] = server.__dict__["bootstrap"] = StandIn("server.bootstrap")
    app()
