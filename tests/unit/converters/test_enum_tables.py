"""Every enum of the domain has its value in the contract and the other way round; exceptions are named here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any

import pytest

from agent_runtime.v1 import (
    agent_context_pb2,
    agent_pb2,
    answer_event_pb2,
    approval_pb2,
    approval_rule_pb2,
    error_reason_pb2,
    message_pb2,
    session_pb2,
    session_stream_pb2,
    tool_event_pb2,
    tool_pb2,
    turn_event_pb2,
    turn_pb2,
)
from server.converters import (
    agent,
    agent_context,
    approval,
    approval_rule,
    error_reason,
    event,
    message,
    session,
    stream,
    tool,
    tool_event,
    turn,
    turn_event,
)
from services.application.event_stream import GapReason
from services.domain.agent import AgentOrigin, ClientToolAccess
from services.domain.agent_context import SwitchSource
from services.domain.agent_work import CompilationState
from services.domain.approval import ApprovalState, Decision
from services.domain.errors import ErrorReason
from services.domain.input import Disposition
from services.domain.message import Role
from services.domain.model_exchange import FinishReason
from services.domain.policies.approval_rules import ApprovalEffect, ConditionOperator, RuleOrigin, RuleScope
from services.domain.policies.file_rules import WriteAccess
from services.domain.session import SessionState
from services.domain.session_events import AttemptRestartReason, ExecutionMode
from services.domain.tool import ToolExecutor
from services.domain.tool_call import ToolResultSource
from services.domain.turn import CancelCause, TurnResumeCause, TurnStartCause, TurnState, WaitingFor

TABLES: list[tuple[Mapping[Any, int], type[StrEnum], Any]] = [
    (session.SESSION_STATES, SessionState, session_pb2.SessionState),
    (approval_rule.EFFECTS, ApprovalEffect, approval_rule_pb2.ApprovalEffect),
    (approval_rule.SCOPES, RuleScope, approval_rule_pb2.ApprovalRuleScope),
    (approval_rule.ORIGINS, RuleOrigin, approval_rule_pb2.ApprovalRuleOrigin),
    (approval_rule.OPERATORS, ConditionOperator, approval_rule_pb2.ArgumentOperator),
    (message.ROLES, Role, message_pb2.MessageRole),
    (turn.TURN_STATES, TurnState, turn_pb2.TurnState),
    (turn.WAIT_REASONS, WaitingFor, turn_pb2.WaitReason),
    (turn.FINISH_REASONS, FinishReason, turn_pb2.FinishReason),
    (turn.CANCEL_CAUSES, CancelCause, turn_pb2.TurnCancellationCause),
    (turn_event.DISPOSITIONS, Disposition, turn_event_pb2.InputDisposition),
    (turn_event.START_CAUSES, TurnStartCause, turn_event_pb2.TurnStartCause),
    (turn_event.RESUME_CAUSES, TurnResumeCause, turn_event_pb2.TurnResumeCause),
    (tool_event.RESULT_SOURCES, ToolResultSource, tool_event_pb2.ToolResultSource),
    (tool_event.EXECUTION_MODES, ExecutionMode, tool_event_pb2.ToolExecutionMode),
    (tool.TOOL_EXECUTORS, ToolExecutor, tool_pb2.ToolExecutor),
    (approval.APPROVAL_STATES, ApprovalState, approval_pb2.ApprovalState),
    (approval.DECISIONS, Decision, approval_pb2.Decision),
    (event.RESTART_REASONS, AttemptRestartReason, answer_event_pb2.AttemptRestartReason),
    (agent.CLIENT_TOOL_ACCESS, ClientToolAccess, agent_pb2.ClientToolAccess),
    (agent.WRITE_ACCESS, WriteAccess, agent_pb2.WriteAccess),
    (agent.ORIGINS, AgentOrigin, agent_pb2.AgentOrigin),
    (agent_context.SWITCH_SOURCES, SwitchSource, agent_context_pb2.AgentSwitchSource),
    (agent_context.COMPILATION_STATES, CompilationState, agent_context_pb2.CompilationState),
    (stream.GAP_REASONS, GapReason, session_stream_pb2.StreamGapReason),
    (error_reason.ERROR_REASONS, ErrorReason, error_reason_pb2.ErrorReason),
]

# A turn that the content filter stopped has failed, so it completes for no reason.
NEVER_SENT: Collection[StrEnum] = {FinishReason.CONTENT_FILTER}
# Domain values that have no value of their own in the contract.
RENAMED = {FinishReason.TOOL_CALLS: "FINISH_REASON_UNKNOWN"}


def name_of(table: tuple[Mapping[Any, int], type[StrEnum], Any]) -> str:
    return table[1].__name__


@pytest.mark.parametrize("entry", TABLES, ids=name_of)
def test_every_domain_value_is_sent(entry: tuple[Mapping[Any, int], type[StrEnum], Any]) -> None:
    table, domain, _ = entry
    assert set(domain) - set(table) == {value for value in NEVER_SENT if isinstance(value, domain)}


@pytest.mark.parametrize("entry", TABLES, ids=name_of)
def test_every_wire_value_but_the_unspecified_one_is_used(
    entry: tuple[Mapping[Any, int], type[StrEnum], Any],
) -> None:
    table, _, wire = entry
    unused = {wire.Name(number) for number in set(wire.values()) - set(table.values())}
    assert {name for name in unused if not name.endswith("_UNSPECIFIED")} == set()
    assert 0 not in table.values()


@pytest.mark.parametrize("entry", TABLES, ids=name_of)
def test_values_keep_their_names(entry: tuple[Mapping[Any, int], type[StrEnum], Any]) -> None:
    table, _, wire = entry
    for value, number in table.items():
        assert wire.Name(number) == RENAMED.get(value) or wire.Name(number).endswith(f"_{value.value.upper()}")


def test_filters_know_every_value_but_the_unspecified_one() -> None:
    assert set(session.STATES_BY_WIRE) == set(session_pb2.SessionState.values()) - {0}
    assert set(turn.STATES_BY_WIRE) == set(turn_pb2.TurnState.values()) - {0}
    assert set(message.ROLES_BY_WIRE) == set(message_pb2.MessageRole.values()) - {0}
    assert set(approval.STATES_BY_WIRE) == set(approval_pb2.ApprovalState.values()) - {0}


def test_every_decision_can_be_taken_and_none_is_the_default() -> None:
    assert set(approval.DECISIONS_BY_WIRE) == set(approval_pb2.Decision.values()) - {0}


def test_every_confidence_is_used() -> None:
    assert set(agent_context.CONFIDENCES.values()) == set(agent_context_pb2.RoutingConfidence.values())
