"""Tells a request that failed from one that met a connection which the server had just given up."""

from __future__ import annotations

from contextvars import ContextVar

import aiohttp

_kept: ContextVar[bool] = ContextVar("kept connection", default=False)


def watching_connections() -> aiohttp.TraceConfig:
    """What a session must be given for `met_a_closed_connection` to know."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_reused)
    trace.on_request_start.append(_not_yet)
    return trace


def met_a_closed_connection(error: Exception) -> bool:
    """Whether the request of this task that failed so was sent on a kept connection, which was closed unanswered.

    Servers close a connection when they like, also while a request is on its way: such a request was not read.
    """
    return _kept.get() and isinstance(error.__cause__, aiohttp.ClientConnectionError)


async def _reused(*_: object) -> None:
    _kept.set(True)


async def _not_yet(*_: object) -> None:
    _kept.set(False)
