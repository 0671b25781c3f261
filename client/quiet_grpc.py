"""Keeps gRPC's core from writing to a program's terminal; it reads this once, so import it before grpc.

What it would report, broken connections above all, callers of this client learn by errors and `ReconnectPolicy.tell`.
GRPC_VERBOSITY, if it is set, decides instead.
"""

from __future__ import annotations

import os

os.environ.setdefault("GRPC_VERBOSITY", "NONE")
