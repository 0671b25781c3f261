"""Makes `python -m server` the server's command."""

from __future__ import annotations

from server.cli import app

app(prog_name="agent-runtime")
