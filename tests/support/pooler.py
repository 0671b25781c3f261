"""A pgbouncer in transaction mode before a PostgreSQL of this machine, as many installations have one."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg

_PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
_START_SECONDS = 10.0
_LOG = "log"
_CONFIGURATION = """
[databases]
* = host={directory} user={user}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
; Each transaction on another connection than the one before: nothing works by luck.
server_round_robin = 1
max_client_conn = 1000
; It looks again for a PostgreSQL that was away as often as this, the default being 15 s.
server_login_retry = 1
"""
# A pooler refuses the timeouts that a server otherwise sets for itself; see docs/operators.md.
_TIMEOUTS = """
ALTER ROLE CURRENT_USER SET statement_timeout = '5s';
ALTER ROLE CURRENT_USER SET lock_timeout = '2s';
ALTER ROLE CURRENT_USER SET idle_in_transaction_session_timeout = '10s';
"""


class PoolerMissingError(Exception):
    """There is no pgbouncer on this machine; the message says where to get one."""


@asynccontextmanager
async def local_pooler(postgres_url: str) -> AsyncIterator[str]:
    """A pgbouncer, gone at the end, before the server at this socket; yields the same database's address through it.

    It runs as the user who owns the socket, since it will not run as root. Raises PoolerMissingError.
    """
    if _PROGRAM is None:
        raise PoolerMissingError("pgbouncer is not installed (on Debian and Ubuntu: apt-get install pgbouncer)")
    parts = urlsplit(postgres_url)
    [directory] = parse_qs(parts.query)["host"]
    await _set_timeouts(postgres_url)
    port = _free_port()
    user = parts.username or "postgres"
    with tempfile.TemporaryDirectory(prefix="agent-runtime-pooler-") as home:
        configuration = _CONFIGURATION.format(directory=directory, user=user, port=port)
        process = await _started(Path(home), configuration, Path(directory))
        url = f"postgresql://{user}@127.0.0.1:{port}{parts.path}"
        try:
            await _serving(url, process, Path(home, _LOG))
            yield url
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _started(home: Path, configuration: str, socket_directory: Path) -> asyncio.subprocess.Process:
    assert _PROGRAM is not None
    file = home / "pgbouncer.ini"
    file.write_text(configuration)
    as_user = ["-u", socket_directory.owner()] if os.geteuid() == 0 else []  # noqa: ASYNC240
    with (home / _LOG).open("wb") as log:
        return await asyncio.create_subprocess_exec(_PROGRAM, *as_user, str(file), stdout=log, stderr=log)


async def _set_timeouts(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_TIMEOUTS)
    finally:
        await connection.close()


async def _serving(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Returns once PostgreSQL answers through it."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            while process.returncode is None:
                try:
                    await (await asyncpg.connect(url, statement_cache_size=0)).close()
                    return
                except OSError:
                    await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    said = log.read_text(errors="replace")  # noqa: ASYNC240 - nothing else goes on any more
    raise RuntimeError(f"pgbouncer did not start: {said[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
