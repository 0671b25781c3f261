"""From a bound port to an orderly end: start, health, reflection, and the drain that loses nothing (G9)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from typing import Never

import grpc
import structlog

from server.config import Settings
from server.drain_signal import DrainSignal
from server.grpc_options import server_options
from server.health import ServiceHealth
from server.interceptors.deadline import Deadline
from server.interceptors.seam import LEFT_ALONE, InterceptionSeam
from server.reflection import add_reflection
from server.startup_error import StartupError
from server.stop_signals import StopSignals
from server.tls import server_credentials

_log = structlog.stdlib.get_logger("server.lifecycle")

# What closing the rest of the process may take after the calls have ended; then something hangs.
_CLOSING_SECONDS = 5.0
# What is left of the grace for one who hurries, and for calls that were cut at its end.
_HURRIED_GRACE = 1.0
_LAST_MOMENT = 0.5
# For calls whose request is on its way when all others have ended; of some it never comes.
_UNBEGUN_GRACE = 0.5


class RuntimeServer:
    """One gRPC server. Add servicers to `grpc`, `start`, report health, `serve_until`."""

    def __init__(
        self, settings: Settings, *, interceptor: InterceptionSeam, drain: DrainSignal, deadline: Deadline
    ) -> None:
        self._settings = settings
        self._drain = drain
        self._deadline = deadline
        self._in_work = interceptor.in_work
        self.health = ServiceHealth()
        self.grpc = grpc.aio.server(
            interceptors=[interceptor],
            options=server_options(settings.sizes.grpc_message),
            # It counts idle streams and health as well, and refuses with no reason: only a net.
            maximum_concurrent_rpcs=settings.concurrency.net,
            compression=None,
        )

    async def start(self, services: Sequence[str]) -> str:
        """Listens, and answers health NOT_SERVING until told otherwise. Returns the address with the port it got.

        `services` are the full names of those added. Raises StartupError when the address cannot be had.
        """
        self.health.register(self.grpc, services)
        if self._settings.reflection_enabled:
            add_reflection(self.grpc, (*services, *sorted(LEFT_ALONE)), self._drain)
        try:
            credentials = server_credentials(self._settings.tls)
            listen = self._settings.listen
            port = (
                self.grpc.add_secure_port(listen, credentials) if credentials else self.grpc.add_insecure_port(listen)
            )
        except RuntimeError:
            raise StartupError(
                f"cannot listen on {self._settings.listen}: taken, or no address of this machine"
            ) from None
        await self.grpc.start()
        return f"{self._settings.listen.rpartition(':')[0]}:{port}"

    async def serve_until(self, stop: StopSignals) -> None:
        """Serves until it is asked to stop, then stops in order."""
        await stop.asked.wait()
        await self.stop(stop.hurried)

    async def stop(self, hurried: asyncio.Event) -> None:
        """NOT_SERVING, wait for balancers to notice, let streams end with a cursor, end the rest, await what runs on.

        Takes `drain_delay` and at most about `grace` seconds; once `hurried` is set, no delay and about one second. The
        event log, pools and so on close after it.
        """
        delay, grace = self._settings.effective_drain_delay, self._settings.grace
        self.health.shut_down()
        _log.info("draining", delay=delay, grace=grace)
        # The listener must stay open meanwhile: whoever has not noticed yet would be refused.
        await _passed(delay, hurried)
        self._drain.give()
        self.health.close()
        closed_by = time.monotonic() + grace
        ending = asyncio.create_task(self._end_calls(closed_by))
        if not await _ended(ending, hurried):
            closed_by = min(closed_by, time.monotonic() + _HURRIED_GRACE)
            await self._end_calls(closed_by)
        await ending
        _log.info("calls ended")

    async def _end_calls(self, closed_by: float) -> None:
        """Returns when all calls have ended; those that have not by then are cut. The shortest of several counts.

        Calls whose request has not come are cut a moment after the last of the others.
        """
        ending = asyncio.create_task(self.grpc.stop(max(closed_by - time.monotonic(), 0.0)))
        only_unbegun = asyncio.create_task(self._in_work.none_for(_UNBEGUN_GRACE))
        try:
            await asyncio.wait({ending, only_unbegun}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            only_unbegun.cancel()
        if not ending.done():
            await self.grpc.stop(0.0)
        await ending
        await self._deadline.finish(within=max(closed_by - time.monotonic(), _LAST_MOMENT))


def stop_signals(settings: Settings) -> StopSignals:
    """What asks this process to stop, listening from now on. Call it first, in the running loop."""
    stop = StopSignals(settings.effective_drain_delay + settings.grace + _CLOSING_SECONDS)
    stop.listen()
    return stop


def leave_without_database() -> Never:
    """Ends the process in order where closing it would only wait for a database that does not answer.

    Nothing is lost: what clients have seen is durable, and the lease expires.
    """
    _log.warning("stopped without the database: the lease could not be ended, it will expire")
    logging.shutdown()
    os._exit(0)


async def _passed(seconds: float, hurried: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await hurried.wait()
    except TimeoutError:
        return


async def _ended(work: asyncio.Task[None], hurried: asyncio.Event) -> bool:
    """Waits for the work; False when somebody hurries before it has ended."""
    hurry = asyncio.create_task(hurried.wait())
    try:
        await asyncio.wait({work, hurry}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurry.cancel()
    return work.done()
