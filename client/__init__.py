"""A typed Python client of the runtime: sends, watches, decides, and comes back by itself when a connection breaks."""

from __future__ import annotations

import client.quiet_grpc  # noqa: F401 - must come first
from client.errors import FieldViolation, RuntimeCallError, StreamEndedError
from client.reconnection import Reconnecting, ReconnectPolicy
from client.runtime_client import Input, RuntimeClient, connect
from client.streams import Watched

__all__ = [
    "FieldViolation",
    "Input",
    "ReconnectPolicy",
    "Reconnecting",
    "RuntimeCallError",
    "RuntimeClient",
    "StreamEndedError",
    "Watched",
    "connect",
]
