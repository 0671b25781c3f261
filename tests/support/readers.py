"""How the server reads each RPC's request: every check there is of it before any use case is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from server.converters import (
    agent_requests,
    approval_requests,
    limits,
    message_requests,
    session_requests,
)

Reader = Callable[[Any], Any]

READERS: Mapping[str, Reader] = {
    "SessionService/CreateSession": session_requests.from_create_session,
    "SessionService/GetSession": session_requests.from_get_session,
    "SessionService/ListSessions": session_requests.from_list_sessions,
    "SessionService/UpdateSession": session_requests.from_update_session,
    "SessionService/DeactivateSession": session_requests.from_deactivate_session,
    "SessionService/ActivateSession": session_requests.from_session_change,
    "SessionService/DeleteSession": session_requests.from_session_change,
    "SessionService/ClearMessages": session_requests.from_session_change,
    "SessionService/ForkSession": session_requests.from_fork_session,
    "SessionService/ListMessages": session_requests.from_list_messages,
    "SessionService/GetSessionUsage": session_requests.from_get_session,
    "AgentService/ListAgents": agent_requests.from_list_agents,
    "AgentService/GetAgent": agent_requests.from_get_agent,
    "AgentService/GetAgentContext": agent_requests.from_get_agent_context,
    "AgentService/SwitchAgent": agent_requests.from_switch_agent,
    "AgentService/ResetAgent": agent_requests.from_reset_agent,
    "AgentService/ListAgentSwitches": agent_requests.from_list_agent_switches,
    "AgentService/GetAgentUsageStats": agent_requests.from_get_agent_usage_stats,
    "MessageService/SendMessage": partial(message_requests.from_send_message, max_text_bytes=limits.USER_MESSAGE_BYTES),
    "MessageService/WatchSession": message_requests.from_watch_session,
    "MessageService/CancelTurn": message_requests.from_cancel_turn,
    "MessageService/GetTurn": message_requests.from_get_turn,
    "MessageService/ListTurns": message_requests.from_list_turns,
    "MessageService/ListOpenToolCalls": message_requests.from_list_of_session,
    "MessageService/ListPendingInputs": message_requests.from_list_of_session,
    "MessageService/WithdrawInput": message_requests.from_withdraw_input,
    "ApprovalService/ListApprovals": approval_requests.from_list_approvals,
    "ApprovalService/GetApproval": approval_requests.from_get_approval,
    "ApprovalService/DecideApproval": approval_requests.from_decide_approval,
    "ApprovalService/ListApprovalRules": approval_requests.from_list_approval_rules,
    "ApprovalService/CreateApprovalRule": approval_requests.from_create_approval_rule,
    "ApprovalService/DeleteApprovalRule": approval_requests.from_delete_approval_rule,
}
