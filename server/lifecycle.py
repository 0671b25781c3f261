"""From a bound port to an orderly end: start, health, reflection, and the drain that loses nothing (G9)."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

import grpc
import structlog
from grpc_reflection.v1alpha import reflection

from server.config import Settings
from server.drain_signal import DrainSignal
from server.grpc_options import server_options
from server.health import ServiceHealth
from server.interceptors.deadline import Deadline
from server.interceptors.seam import LEFT_ALONE, InterceptionSeam
from server.startup_error import StartupError
from server.tls import server_credentials

_log = structlog.stdlib.get_logger("server.lifecycle")

# What closing the rest of the process may take after the calls have ended; then something hangs.
_CLOSING_SECONDS = 5.0
_EXIT_CODE_OF_A_HANG = 3


class RuntimeServer:
    """One gRPC server. Add servicers to `grpc`, `start`, report health, `serve_until`."""

    def __init__(
        self, settings: Settings, *, interceptor: InterceptionSeam, drain: DrainSignal, deadline: Deadline
    ) -> None:
        self._settings = settings
        self._drain = drain
        self._deadline = deadline
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
        await self.health.register(self.grpc, services)
        if self._settings.reflection_enabled:
            reflection.enable_server_reflection((*services, *sorted(LEFT_ALONE)), self.grpc)
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

    async def serve_until(self, stop: asyncio.Event) -> None:
        """Serves until `stop` is set, then stops in order."""
        await stop.wait()
        await self.stop()

    async def stop(self) -> None:
        """NOT_SERVING, wait for balancers to notice, let streams end with a cursor, end the rest, await what runs on.

        Takes `drain_delay` and at most about `grace` seconds. The event log, pools and so on close after it.
        """
        _log.info("draining", delay=self._settings.effective_drain_delay, grace=self._settings.grace)
        await self.health.shut_down()
        # The listener must stay open meanwhile: whoever has not noticed yet would be refused.
        await asyncio.sleep(self._settings.effective_drain_delay)
        self._drain.give()
        closed_by = time.monotonic() + self._settings.grace
        await self.grpc.stop(self._settings.grace)
        await self._deadline.finish(within=max(closed_by - time.monotonic(), 1.0))
        _log.info("calls ended")


def stop_signals(settings: Settings) -> asyncio.Event:
    """The event that SIGTERM and SIGINT set; later ones change nothing. Call it first, in the running loop.

    From the first signal on the process has the time that stopping may take; should anything hang, it ends with code 3.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    patience = settings.effective_drain_delay + settings.grace + _CLOSING_SECONDS

    def on_signal() -> None:
        if stop.is_set():
            return
        stop.set()
        watchdog = threading.Timer(patience, _give_up, args=(patience,))
        watchdog.daemon = True
        watchdog.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop


def _give_up(patience: float) -> None:
    print(f"agent-runtime: not stopped {patience:g} s after the signal, giving up", file=sys.stderr, flush=True)
    os._exit(_EXIT_CODE_OF_A_HANG)
