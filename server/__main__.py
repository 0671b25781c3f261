"""Makes `python -m server` the server's command."""

from __future__ import annotations

import os
import signal
import sys

if sys.argv[1:2] == ["serve"]:
    # To import all of it takes a second or two. Nothing has begun by then, so that there is nothing to stop; and the
    # first process of a container, which has no handler, would not hear of it at all.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))

from server.cli import app

app(prog_name="agent-runtime")
