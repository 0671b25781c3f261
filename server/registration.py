"""Builds the handler of every service from the engine and adds them to a gRPC server."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from agent_runtime.v1 import (
    agent_service_pb2,
    agent_service_pb2_grpc,
    approval_service_pb2,
    approval_service_pb2_grpc,
    message_service_pb2,
    message_service_pb2_grpc,
    operations_service_pb2,
    operations_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
)
from server.config import Settings
from server.converters.page_tokens import PageTokens
from server.handlers.agent_handler import AgentHandler
from server.handlers.approval_handler import ApprovalHandler
from server.handlers.message_handler import MessageHandler
from server.handlers.operations_handler import OperationsHandler
from server.handlers.session_handler import SessionHandler
from services.application.agents.get_agent import GetAgent
from services.application.agents.get_agent_context import GetAgentContext
from services.application.agents.get_agent_usage_stats import GetAgentUsageStats
from services.application.agents.list_agent_switches import ListAgentSwitches
from services.application.agents.list_agents import ListAgents
from services.application.agents.reset_agent import ResetAgent
from services.application.agents.switch_agent import SwitchAgent
from services.application.approvals.create_approval_rule import CreateApprovalRule, RuleLimits
from services.application.approvals.decide_approval import DecideApproval
from services.application.approvals.delete_approval_rule import DeleteApprovalRule
from services.application.approvals.get_approval import GetApproval
from services.application.approvals.list_approval_rules import ListApprovalRules
from services.application.approvals.list_approvals import ListApprovals
from services.application.event_feed import EventFeed
from services.application.event_stream import StreamSettings
from services.application.messages.cancel_turn import CancelTurn
from services.application.messages.get_turn import GetTurn
from services.application.messages.list_open_tool_calls import ListOpenToolCalls
from services.application.messages.list_pending_inputs import ListPendingInputs
from services.application.messages.list_turns import ListTurns
from services.application.messages.send_message import SendMessage
from services.application.messages.watch_session import WatchSession
from services.application.messages.withdraw_input import WithdrawInput
from services.application.ports import (
    AgentCatalog,
    ApprovalRules,
    Clock,
    Patterns,
    ReadModel,
    SessionStore,
    ToolCatalog,
)
from services.application.sessions.activate_session import ActivateSession
from services.application.sessions.clear_messages import ClearMessages
from services.application.sessions.client_tool_checks import ClientToolChecks
from services.application.sessions.create_session import CreateSession
from services.application.sessions.deactivate_session import DeactivateSession
from services.application.sessions.delete_session import DeleteSession
from services.application.sessions.fork_session import ForkSession
from services.application.sessions.get_session import GetSession
from services.application.sessions.get_session_usage import GetSessionUsage
from services.application.sessions.list_messages import ListMessages
from services.application.sessions.list_sessions import ListSessions
from services.application.sessions.update_session import UpdateSession
from services.application.turns.input_acceptance import InputAcceptance
from services.application.turns.running_turns import RunningTurns

_FILES = (agent_service_pb2, approval_service_pb2, message_service_pb2, operations_service_pb2, session_service_pb2)
SERVICES = tuple(service.full_name for file in _FILES for service in file.DESCRIPTOR.services_by_name.values())
"""The full names of all services of the contract."""

_AGE_SPREAD = 0.2  # a fifth, as the setting says


@dataclass(frozen=True, slots=True)
class Engine:
    """What the use cases are built from."""

    store: SessionStore
    reads: ReadModel
    feed: EventFeed
    turns: RunningTurns
    agents: AgentCatalog
    tools: ToolCatalog
    rules: ApprovalRules
    patterns: Patterns
    acceptance: InputAcceptance
    client_tools: ClientToolChecks
    clock: Clock


def add_services(server: grpc.aio.Server, settings: Settings, engine: Engine, page_tokens: PageTokens) -> None:
    """Adds every service of the contract to a server that has not started."""
    session_service_pb2_grpc.add_SessionServiceServicer_to_server(_sessions(engine, page_tokens), server)
    agent_service_pb2_grpc.add_AgentServiceServicer_to_server(_agents(engine, page_tokens), server)
    message_service_pb2_grpc.add_MessageServiceServicer_to_server(_messages(settings, engine, page_tokens), server)
    approval_service_pb2_grpc.add_ApprovalServiceServicer_to_server(_approvals(settings, engine, page_tokens), server)
    operations_service_pb2_grpc.add_OperationsServiceServicer_to_server(OperationsHandler(), server)


def _sessions(engine: Engine, page_tokens: PageTokens) -> SessionHandler:
    store, reads = engine.store, engine.reads
    return SessionHandler(
        create_session=CreateSession(store, engine.agents, engine.clock, engine.client_tools),
        get_session=GetSession(reads),
        list_sessions=ListSessions(reads),
        update_session=UpdateSession(store, engine.client_tools),
        deactivate_session=DeactivateSession(store),
        activate_session=ActivateSession(store),
        delete_session=DeleteSession(store, engine.turns),
        clear_messages=ClearMessages(store),
        fork_session=ForkSession(store),
        list_messages=ListMessages(reads),
        get_session_usage=GetSessionUsage(reads),
        page_tokens=page_tokens,
    )


def _agents(engine: Engine, page_tokens: PageTokens) -> AgentHandler:
    return AgentHandler(
        list_agents=ListAgents(engine.agents),
        get_agent=GetAgent(engine.agents),
        get_agent_context=GetAgentContext(engine.reads),
        list_agent_switches=ListAgentSwitches(engine.reads),
        get_agent_usage_stats=GetAgentUsageStats(engine.reads),
        switch_agent=SwitchAgent(engine.store, engine.reads, engine.agents),
        reset_agent=ResetAgent(engine.store, engine.agents),
        tools=engine.tools,
        page_tokens=page_tokens,
    )


def _approvals(settings: Settings, engine: Engine, page_tokens: PageTokens) -> ApprovalHandler:
    configured = settings.rules()
    rule_limits = RuleLimits(session=settings.approval_rules_per_session, owner=settings.approval_rules_per_owner)
    return ApprovalHandler(
        list_approvals=ListApprovals(engine.reads),
        get_approval=GetApproval(engine.reads),
        decide_approval=DecideApproval(engine.acceptance, engine.reads),
        list_approval_rules=ListApprovalRules(engine.reads, configured),
        create_approval_rule=CreateApprovalRule(engine.rules, engine.patterns, engine.clock, rule_limits),
        delete_approval_rule=DeleteApprovalRule(engine.rules, configured, engine.clock),
        page_tokens=page_tokens,
    )


def _messages(settings: Settings, engine: Engine, page_tokens: PageTokens) -> MessageHandler:
    store, reads, feed, turns, clock = engine.store, engine.reads, engine.feed, engine.turns, engine.clock
    streams = StreamSettings(settings.heartbeat, settings.stream_max_age, age_spread=_AGE_SPREAD)
    return MessageHandler(
        send_message=SendMessage(engine.acceptance, store, reads, feed, clock, streams),
        watch_session=WatchSession(reads, feed, clock, streams),
        cancel_turn=CancelTurn(store, reads, turns),
        get_turn=GetTurn(reads),
        list_turns=ListTurns(reads),
        list_open_tool_calls=ListOpenToolCalls(reads),
        list_pending_inputs=ListPendingInputs(reads),
        withdraw_input=WithdrawInput(store, reads),
        page_tokens=page_tokens,
        user_message_bytes=settings.sizes.user_message,
        slow_consumer_timeout=settings.slow_consumer_timeout,
    )
