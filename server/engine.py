"""The engine of a replica: which classes stand behind its ports, and with which settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from server.config import Settings
from server.drain_signal import DrainSignal
from server.registration import Engine
from server.startup_error import StartupError
from services.application.approvals.create_approval_rule import flaws_of_patterns
from services.application.background.housekeeper import Housekeeper, Retention
from services.application.background.lease_keeper import LeaseKeeper
from services.application.background.outbox_relay import OutboxRelay
from services.application.background.remote_watches import RemoteWatches
from services.application.background.supervisor import Supervisor
from services.application.background.wait_expiry import WaitExpiry
from services.application.event_feed import EventFeed
from services.application.ports import Incarnation, Patterns, ToolCatalog
from services.application.ports.circuits import Circuits
from services.application.sessions.client_tool_checks import ClientToolChecks
from services.application.turns.call_policy import CallPolicy
from services.application.turns.context_planner import ContextPlanner, ContextWindows
from services.application.turns.input_acceptance import InputAcceptance
from services.application.turns.running_turns import RunningTurns
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_runner import TurnRunner
from services.domain.errors import RuntimeServiceError
from services.domain.policies.approval_rules import ApprovalRule
from services.infrastructure.agents.definition_files import BrokenDefinitionError, FileAgentCatalog
from services.infrastructure.llm import ModelRoute, OpenAiModelClient, OpenAiSettings, RetrySettings
from services.infrastructure.notify.postgres import PostgresWakeUps
from services.infrastructure.notify.redis import RedisWakeUps
from services.infrastructure.persistence.approval_rule_store import SqlApprovalRules
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.event_log import SqlEventLog
from services.infrastructure.persistence.housekeeping import SqlHousekeeping
from services.infrastructure.persistence.leases import SqlLeases
from services.infrastructure.persistence.log_writer import GroupLogWriter
from services.infrastructure.persistence.outbox_store import SqlOutbox
from services.infrastructure.persistence.read_model import SqlReadModel
from services.infrastructure.persistence.session_store import SqlSessionStore
from services.infrastructure.persistence.spreading import Tell, tell_nobody
from services.infrastructure.persistence.waits import SqlWaits
from services.infrastructure.persistence.watches import SqlWatches
from services.infrastructure.system.clock import SystemClock
from services.infrastructure.tools import BrokenToolError, FileToolCatalog, JsonSchemaValidator, Re2Patterns


@asynccontextmanager
async def running_engine(
    settings: Settings, database: Database, supervisor: Supervisor, drain: DrainSignal, circuits: Circuits
) -> AsyncIterator[Engine]:
    """The running engine. On the way out the turns are handed over first, so that somebody else takes them up at
    once.
    """
    clock = SystemClock()
    incarnation = Incarnation()
    feed = EventFeed(SqlEventLog(database))
    tell = _start_wake_ups(settings, database, feed, incarnation, supervisor)
    writer = GroupLogWriter(
        database,
        feed.publish,
        clock,
        min_interval=settings.flush_min_interval,
        incarnation=lambda: incarnation.name,
        tell=tell,
    )
    store = SqlSessionStore(
        database,
        writer,
        feed.publish,
        clock,
        incarnation=lambda: incarnation.name,
        tell=tell,
        sessions_per_owner=settings.limits.sessions,
        running_turns_per_owner=settings.limits.running_turns,
    )
    reads = SqlReadModel(database)
    tools, schemas = _tools(), JsonSchemaValidator()
    agents = _agents(settings, tools)
    limits = _turn_limits(settings)
    patterns = Re2Patterns()
    policy = CallPolicy(tools, schemas, agents, _rules(settings, patterns), patterns.matching)
    for name in {agent.model for agent in agents.all() if agent.model is not None}:
        # A model that was never asked is a way to an answer, too: with it, not all are known to be away.
        circuits.of_route(settings.llm_proxy_url, name)
    model = OpenAiModelClient(_model_settings(settings), circuits)
    context = ContextPlanner(_context_windows(settings))
    runner = TurnRunner(store, writer, reads, model, agents, policy, context, clock, limits)
    turns = RunningTurns(runner, store, feed.look_again)
    leases = SqlLeases(database, sole=settings.database_kind == "sqlite")
    keeper = LeaseKeeper(leases, store, turns, clock, incarnation, lease=settings.lease)
    try:
        await keeper.start()
    except RuntimeServiceError as error:
        raise StartupError(f"the database cannot be written: {error.message}") from None
    supervisor.start("log writer", writer.run)
    supervisor.start("lease keeper", keeper.run)
    supervisor.start("recovery", keeper.run_recovery)
    waits = SqlWaits(database, settings.limits.running_turns)
    supervisor.start("wait expiry", WaitExpiry(waits, store, turns, policy, limits).run)
    retention = Retention(**settings.retention.model_dump())
    supervisor.start("housekeeper", Housekeeper(SqlHousekeeping(database), retention).run)
    supervisor.start("outbox relay", OutboxRelay(SqlOutbox(database), subscribers=()).run)

    async def drain_streams() -> None:
        await drain.wait()
        feed.drain()
        # Not only after the last call has ended: the clients of these turns are being sent to where they go on.
        await keeper.stop()

    supervisor.start("stream drain", drain_streams)
    try:
        yield Engine(
            store=store,
            reads=reads,
            feed=feed,
            turns=turns,
            agents=agents,
            tools=tools,
            rules=SqlApprovalRules(database),
            patterns=patterns,
            acceptance=InputAcceptance(store, agents, turns, policy, limits),
            client_tools=ClientToolChecks(tools, schemas),
            clock=clock,
        )
    finally:
        await keeper.stop()
        await model.aclose()


def _start_wake_ups(
    settings: Settings, database: Database, feed: EventFeed, incarnation: Incarnation, supervisor: Supervisor
) -> Tell:
    """Lets replicas that share a database hear of each other's appends; an embedded one is alone."""
    if settings.database_kind == "sqlite":
        return tell_nobody
    remote = RemoteWatches(SqlWatches(database), feed, incarnation)
    wake_ups: RedisWakeUps | PostgresWakeUps
    if settings.redis_url is not None:
        wake_ups = RedisWakeUps(settings.redis_url.get_secret_value(), incarnation, remote.hear)
    else:
        direct_url = settings.database_direct_url or settings.database_url
        wake_ups = PostgresWakeUps(direct_url.get_secret_value(), incarnation, remote.hear)
    supervisor.start("remote watches", remote.run)
    supervisor.start("wake-ups", wake_ups.run)
    return wake_ups.tell


def _tools() -> FileToolCatalog:
    try:
        return FileToolCatalog()
    except BrokenToolError as error:
        raise StartupError(f"a tool cannot be loaded: {error}") from None


def _agents(settings: Settings, tools: ToolCatalog) -> FileAgentCatalog:
    try:
        return FileAgentCatalog(
            known_tools=[tool.name for tool in tools.all()],
            extra=settings.agents_dir,
            initial_agent=settings.initial_agent,
        )
    except BrokenDefinitionError as error:
        raise StartupError(f"an agent cannot be loaded: {error}") from None


def _rules(settings: Settings, patterns: Patterns) -> Sequence[ApprovalRule]:
    rules = settings.rules()
    for rule in rules:
        for flaw in flaws_of_patterns(rule, patterns):
            raise StartupError(f"the approval rule {rule.id} cannot be loaded: {flaw}")
    return rules


def _turn_limits(settings: Settings) -> TurnLimits:
    return TurnLimits(
        model_calls=settings.turns.model_calls,
        tool_calls=settings.turns.tool_calls,
        agent_switches=settings.turns.agent_switches,
        running_time=settings.turns.running_time,
        tokens=settings.turns.tokens,
        tool_result_wait=settings.turns.tool_result_wait,
        approval_wait=settings.turns.approval_wait if settings.turns.approval_expiry != "wait" else None,
        release_expired=settings.turns.approval_expiry == "release",
        followup_wait=settings.turns.followup_wait,
        tool_result_bytes=settings.sizes.tool_result,
        session_model_calls=settings.turns.session_model_calls,
        session_tokens=settings.turns.session_tokens,
        history_bytes=settings.sizes.history,
    )


def _context_windows(settings: Settings) -> ContextWindows:
    given = settings.context
    return ContextWindows(given.windows.get(settings.llm_model, given.window), given.windows)


def _model_settings(settings: Settings) -> OpenAiSettings:
    return OpenAiSettings(
        base_url=settings.llm_proxy_url,
        model=settings.llm_model,
        api_key=settings.llm_api_key.get_secret_value(),
        profile=settings.llm_profile,
        fallbacks=tuple(
            ModelRoute(route.base_url, route.model, route.api_key.get_secret_value(), route.profile)
            for route in settings.resilience.model_fallbacks
        ),
        retry=RetrySettings(
            attempts=settings.resilience.model_attempts,
            min_wait=settings.resilience.model_retry_min_wait,
            max_wait=settings.resilience.model_retry_max_wait,
            budget_share=settings.resilience.model_retry_share,
            budget_floor=settings.resilience.model_retry_floor,
        ),
        connect_timeout=settings.llm_connect_timeout,
        first_token_timeout=settings.llm_first_token_timeout,
        progress_timeout=settings.llm_progress_timeout,
        transport_timeout=settings.llm_transport_timeout,
        total_timeout=settings.llm_total_timeout,
    )
