"""The composition root: the order in which the parts of a server live and die."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextlib import AsyncExitStack

from server.accept_queue import AcceptQueue
from server.authentication.selection import authenticator_for, key_set_of
from server.config import Settings
from server.converters.page_tokens import PageTokens
from server.drain_signal import DrainSignal
from server.engine import running_engine
from server.health_watch import HealthWatch
from server.interceptors.chain import build_chain
from server.interceptors.deadline import Deadline
from server.interceptors.needs import SEND_MESSAGE
from server.interceptors.overload import OverloadGate
from server.interceptors.principal_limits import principal_limits
from server.lifecycle import RuntimeServer, leave_without_database, stop_signals
from server.loop_watch import LoopLag, LoopWatch
from server.overload_watch import OverloadWatch
from server.registration import SERVICES, add_services
from server.startup_error import StartupError
from services.application.background.replica_count import ReplicaCount
from services.application.background.supervisor import Supervisor
from services.application.ports.rates import RateWindows
from services.infrastructure.circuits import CircuitLimits, ProcessCircuits
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.leases import SqlLeases
from services.infrastructure.persistence.open import DatabaseUnusableError, PostgresOptions, current_database, ping
from services.infrastructure.persistence.queue_watch import QueueWatch
from services.infrastructure.persistence.signing_keys import signing_key
from services.infrastructure.rates import KnownRefusals, LocalShare, LocalWindows, RedisWindows, SharedRates

_LOOK_SECONDS = 0.1
# Calls that come all at once queue until they are taken in, which means nothing; then they do no more.
_BURST = 4


async def run(
    settings: Settings,
    ready: Callable[[str], None] | None = None,
    *,
    through: Callable[[Database], Database] = lambda database: database,
) -> None:
    """Serves until SIGTERM or SIGINT; `ready` is told the address once calls are served.

    `through` may put something before the database, such as the faults of a test. Raises StartupError when the
    process cannot start: its message is one line for the operator.
    """
    stop = stop_signals(settings)
    async with AsyncExitStack() as stack:
        started = await stop.unless_asked(_start(stack, settings, through))
        if started is None:
            return
        server, watch, address = started
        _collect_less_often()
        if ready is not None:
            ready(address)
        await server.serve_until(stop)
        closing = asyncio.create_task(stack.aclose())
        while not closing.done():
            if not watch.database_answers:
                leave_without_database()
            await asyncio.wait({closing}, timeout=_LOOK_SECONDS)
        await closing


async def _start(
    stack: AsyncExitStack, settings: Settings, through: Callable[[Database], Database]
) -> tuple[RuntimeServer, HealthWatch, str]:
    """The server, serving; what watches its health; its address. All of it ends with the stack."""
    database = QueueWatch(through(await _open(stack, settings)))
    drain, deadline = DrainSignal(), Deadline(settings.unary_timeout)
    circuits = _circuits(settings)
    supervisor = await stack.enter_async_context(Supervisor())
    engine = await stack.enter_async_context(running_engine(settings, database, supervisor, drain, circuits))
    key_set = key_set_of(settings, engine.clock)
    if key_set is not None:
        supervisor.start("key set", key_set.run)
    tokens = PageTokens(await signing_key(database, "page_tokens"), engine.clock)
    overload = OverloadWatch(database.longest_wait)
    server = RuntimeServer(
        settings,
        interceptor=build_chain(
            authenticator=authenticator_for(settings, key_set),
            drain=drain,
            deadline=deadline,
            circuits=circuits,
            concurrency=settings.concurrency,
            overload=OverloadGate(
                overload.lateness, settings.overload_lag, AcceptQueue(SEND_MESSAGE, _BURST * settings.overload_lag)
            ),
            limits=principal_limits(settings.limits, _rates(settings, database, supervisor)),
        ),
        drain=drain,
        deadline=deadline,
    )
    add_services(server.grpc, settings, engine, tokens)

    async def ask_database() -> None:
        await ping(database)
        # It need not wait for its probe: calls are served from the moment on that health says so.
        circuits.database.recovered()

    watch = HealthWatch(server.health, ask_database)
    address = await server.start(SERVICES)
    supervisor.start("health watch", watch.run)
    supervisor.start("loop watch", LoopWatch(LoopLag(settings.loop_stall), watch.hear_of_loop).run)
    supervisor.start("overload watch", overload.run)
    server.health.report(serving=True)
    return server, watch, address


def _collect_less_often() -> None:
    """What was made so far stays for the life of the process: looking through all of it again and again is a good part
    of what one event costs.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def migrate(settings: Settings) -> None:
    """Brings the configured database to this release's schema. Raises StartupError."""
    async with AsyncExitStack() as stack:
        await _open(stack, settings)


async def _open(stack: AsyncExitStack, settings: Settings) -> Database:
    """The database, at the current schema; several processes may do this at once."""
    try:
        options = PostgresOptions(
            pool_size=settings.database_pool_size,
            pooled=settings.database_pooled,
            allow_asynchronous_commit=settings.database_allow_asynchronous_commit,
        )
        return await stack.enter_async_context(current_database(settings.database_url.get_secret_value(), options))
    except DatabaseUnusableError as error:
        raise StartupError(str(error)) from None


def _rates(settings: Settings, database: Database, supervisor: Supervisor) -> RateWindows:
    """Windows that all replicas share, or this one's part of them; an embedded one is alone."""
    if settings.database_kind == "sqlite":
        return LocalShare(LocalWindows(), replicas=lambda: 1)
    count = ReplicaCount(SqlLeases(database, sole=False))
    supervisor.start("replica count", count.run)
    own = LocalShare(LocalWindows(), count)
    if settings.redis_url is None:
        return own
    shared = RedisWindows(settings.redis_url.get_secret_value())
    supervisor.start("rate limits", shared.run)
    return SharedRates(shared, own, KnownRefusals())


def _circuits(settings: Settings) -> ProcessCircuits:
    given = settings.resilience
    return ProcessCircuits(
        model=CircuitLimits(given.model_circuit_failures, given.model_circuit_open_time, successes=3),
        database=CircuitLimits(given.database_circuit_failures, given.database_circuit_open_time),
    )
