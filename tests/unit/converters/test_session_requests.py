"""What is wrong with a request about sessions or agents is found before anything is done, all of it at once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agent_runtime.v1 import agent_service_pb2, approval_service_pb2, message_service_pb2, session_history_pb2
from agent_runtime.v1 import session_service_pb2 as sessions
from agent_runtime.v1.message_pb2 import MESSAGE_ROLE_ASSISTANT, MESSAGE_ROLE_TOOL
from agent_runtime.v1.session_pb2 import SESSION_STATE_ACTIVE, SESSION_STATE_INACTIVE, LabelSet
from agent_runtime.v1.tool_pb2 import ClientToolSet
from server.converters import agent_requests, approval_requests, message_requests, session_requests
from services.domain.message import Role
from services.domain.session import SessionState
from tests.unit.converters.refusals import violations


def test_a_session_with_everything_at_its_limit_is_created() -> None:
    labels = {f"{'k' * 61}{n:02}": "v" * 256 for n in range(64)}
    request = sessions.CreateSessionRequest(
        session_id="s" * 64,
        title="т" * 500,
        description="d" * 2000,
        labels=labels,
        agent="coder",
        message_limit=10_000,
        allow_existing=True,
        request_id="r" * 128,
    )
    assert session_requests.from_create_session(request) == {
        "session_id": "s" * 64,
        "title": "т" * 500,
        "description": "d" * 2000,
        "labels": labels,
        "agent": "coder",
        "message_limit": 10_000,
        "client_tools": (),
        "allow_existing": True,
        "request_id": "r" * 128,
    }


def test_an_empty_request_creates_a_session() -> None:
    assert session_requests.from_create_session(sessions.CreateSessionRequest())["session_id"] == ""


def test_everything_wrong_with_a_request_is_reported_at_once() -> None:
    request = sessions.CreateSessionRequest(
        session_id="no spaces",
        title="t" * 501,
        description="d\x00",
        labels={"ok": "v" * 257, "bad key": "v", "": "v"},
        agent="a" * 65,
        message_limit=10_001,
        request_id="?",
        tool_call_deltas=True,
    )
    assert sorted(violations(lambda: session_requests.from_create_session(request))) == sorted(
        [
            "session_id",
            "title",
            "description",
            'labels["ok"]',
            'labels["bad key"]',
            'labels[""]',
            "agent",
            "message_limit",
            "request_id",
        ]
    )


def test_too_many_labels_are_one_violation() -> None:
    request = sessions.CreateSessionRequest(labels={f"k{n} !": "v" for n in range(65)})
    assert violations(lambda: session_requests.from_create_session(request)) == ["labels"]


def test_get_or_create_needs_an_id() -> None:
    request = sessions.CreateSessionRequest(allow_existing=True)
    assert violations(lambda: session_requests.from_create_session(request)) == ["session_id"]


def test_an_update_changes_what_is_set_and_nothing_else() -> None:
    nothing = session_requests.from_update_session(sessions.UpdateSessionRequest(session_id="s"))
    assert nothing == {
        "session_id": "s",
        "title": None,
        "description": None,
        "labels": None,
        "message_limit": None,
        "client_tools": None,
        "expected_version": None,
        "request_id": "",
    }
    request = sessions.UpdateSessionRequest(
        session_id="s", title="", labels=LabelSet(), client_tools=ClientToolSet(), tool_call_deltas=False
    )
    emptied = session_requests.from_update_session(request)
    assert (emptied["title"], emptied["description"], emptied["labels"]) == ("", None, {})
    assert emptied["client_tools"] == ()


def test_the_numbers_of_an_update_are_checked_when_set() -> None:
    request = sessions.UpdateSessionRequest(
        message_limit=0, expected_version=0, labels=LabelSet(labels={"a b": "c"}), request_id="r"
    )
    assert violations(lambda: session_requests.from_update_session(request)) == [
        "session_id",
        'labels.labels["a b"]',
        "message_limit",
        "expected_version",
    ]


def test_a_reason_has_500_characters_at_most() -> None:
    request = sessions.DeactivateSessionRequest(session_id="s", reason="r" * 501)
    assert violations(lambda: session_requests.from_deactivate_session(request)) == ["reason"]


@pytest.mark.parametrize(
    "request_",
    [sessions.ActivateSessionRequest(), sessions.DeleteSessionRequest(), session_history_pb2.ClearMessagesRequest()],
)
def test_a_change_of_a_session_names_it(
    request_: sessions.ActivateSessionRequest
    | sessions.DeleteSessionRequest
    | session_history_pb2.ClearMessagesRequest,
) -> None:
    assert violations(lambda: session_requests.from_session_change(request_)) == ["session_id"]


@pytest.mark.parametrize(("asked", "given"), [(0, 50), (1, 1), (500, 500), (501, 500), (2**31 - 1, 500)])
def test_a_page_size(asked: int, given: int) -> None:
    assert session_requests.from_list_sessions(sessions.ListSessionsRequest(page_size=asked))["limit"] == given


def test_a_negative_page_size_is_refused_in_every_list() -> None:
    for work in (
        lambda: session_requests.from_list_sessions(sessions.ListSessionsRequest(page_size=-1)),
        lambda: session_requests.from_list_messages(
            session_history_pb2.ListMessagesRequest(session_id="s", page_size=-1)
        ),
        lambda: message_requests.from_list_turns(message_service_pb2.ListTurnsRequest(session_id="s", page_size=-1)),
        lambda: message_requests.from_list_of_session(
            message_service_pb2.ListOpenToolCallsRequest(session_id="s", page_size=-1)
        ),
        lambda: message_requests.from_list_of_session(
            message_service_pb2.ListPendingInputsRequest(session_id="s", page_size=-1)
        ),
        lambda: approval_requests.from_list_approvals(approval_service_pb2.ListApprovalsRequest(page_size=-1)),
        lambda: agent_requests.from_list_agents(agent_service_pb2.ListAgentsRequest(page_size=-1)),
        lambda: agent_requests.from_list_agent_switches(
            agent_service_pb2.ListAgentSwitchesRequest(session_id="s", page_size=-1)
        ),
    ):
        assert violations(work) == ["page_size"]


def test_filters_are_understood() -> None:
    request = sessions.ListSessionsRequest(
        states=[SESSION_STATE_INACTIVE, SESSION_STATE_ACTIVE],
        labels={"b": "2", "a": "1"},
        current_agent="coder",
        active_since=Timestamp(seconds=1),
        active_before=Timestamp(seconds=2),
    )
    where = session_requests.from_list_sessions(request)["where"]
    assert where.states == (SessionState.INACTIVE, SessionState.ACTIVE)
    assert where.labels == (("a", "1"), ("b", "2"))
    assert where.current_agent == "coder"
    assert where.active_since == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert where.active_before == datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC)


def test_a_filter_refuses_what_it_does_not_know() -> None:
    request = sessions.ListSessionsRequest(
        labels={"a": "\x00"}, active_since=Timestamp(seconds=2**62), active_before=Timestamp(nanos=-1)
    )
    request.states.extend([0, 99])  # type: ignore[list-item]
    assert violations(lambda: session_requests.from_list_sessions(request)) == [
        "states[0]",
        "states[1]",
        'labels["a"]',
        "active_since",
        "active_before",
    ]


def test_messages_are_filtered_by_role_and_turn() -> None:
    request = session_history_pb2.ListMessagesRequest(
        session_id="s",
        roles=[MESSAGE_ROLE_ASSISTANT, MESSAGE_ROLE_TOOL, MESSAGE_ROLE_ASSISTANT],
        turn_id="t",
        newest_first=True,
    )
    assert session_requests.from_list_messages(request) == {
        "session_id": "s",
        "roles": (Role.ASSISTANT, Role.TOOL),
        "turn_id": "t",
        "newest_first": True,
        "limit": 50,
    }


def test_requests_about_agents() -> None:
    assert violations(lambda: agent_requests.from_get_agent(agent_service_pb2.GetAgentRequest())) == ["agent"]
    assert agent_requests.from_get_agent(agent_service_pb2.GetAgentRequest(agent="coder")) == {"agent": "coder"}
    switch = agent_service_pb2.SwitchAgentRequest(reason="r" * 501, request_id="?")
    assert violations(lambda: agent_requests.from_switch_agent(switch)) == [
        "session_id",
        "agent",
        "reason",
        "request_id",
    ]
    switch = agent_service_pb2.SwitchAgentRequest(session_id="s", agent="coder", reason="r" * 500, request_id="r")
    assert agent_requests.from_switch_agent(switch) == {
        "session_id": "s",
        "agent": "coder",
        "reason": "r" * 500,
        "request_id": "r",
    }
    reset = agent_service_pb2.ResetAgentRequest(session_id="s", request_id="?")
    assert violations(lambda: agent_requests.from_reset_agent(reset)) == ["request_id"]
    reset = agent_service_pb2.ResetAgentRequest(session_id="s", request_id="r")
    assert agent_requests.from_reset_agent(reset) == {"session_id": "s", "request_id": "r"}
    stats = agent_service_pb2.GetAgentUsageStatsRequest(session_id="?", end_time=Timestamp(seconds=-(2**62)))
    assert violations(lambda: agent_requests.from_get_agent_usage_stats(stats)) == ["session_id", "end_time"]
    everything = agent_requests.from_get_agent_usage_stats(agent_service_pb2.GetAgentUsageStatsRequest())
    assert everything == {"session_id": None, "since": None, "before": None}
