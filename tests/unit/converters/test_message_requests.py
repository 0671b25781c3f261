"""Requests about messages and turns that are wrong, or ask for what is not offered yet, are refused at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration

from agent_runtime.v1 import approval_pb2, input_pb2, message_service_pb2
from agent_runtime.v1 import session_service_pb2 as sessions
from agent_runtime.v1.input_pb2 import UserMessage
from agent_runtime.v1.message_service_pb2 import SendMessageRequest
from agent_runtime.v1.session_stream_pb2 import WatchSessionRequest
from agent_runtime.v1.tool_pb2 import ClientTool, ClientToolSet
from agent_runtime.v1.turn_pb2 import TURN_STATE_PAUSED, TURN_STATE_RUNNING, TurnLimits
from server.converters import limits, message_requests, session_requests
from server.converters.message_requests import SendMessageFields
from services.domain.errors import NotImplementedYetError
from services.domain.input import BusyPolicy, Resume
from services.domain.input import UserMessage as Said
from services.domain.turn import CallerLimits, TurnState
from tests.unit.converters.refusals import violations


def from_send_message(request: SendMessageRequest) -> SendMessageFields:
    return message_requests.from_send_message(request, max_text_bytes=limits.USER_MESSAGE_BYTES)


def said(text: str = "hello", **fields: str) -> SendMessageRequest:
    return SendMessageRequest(session_id="s", user_message=UserMessage(text=text, **fields))


def test_a_filter_of_a_million_values_costs_nothing() -> None:
    request = message_service_pb2.ListTurnsRequest(session_id="s")
    request.states.extend([TURN_STATE_RUNNING] * 1_000_000)
    assert violations(lambda: message_requests.from_list_turns(request)) == ["states"]


def test_turns_are_filtered_by_state() -> None:
    fields = message_requests.from_list_turns(
        message_service_pb2.ListTurnsRequest(session_id="s", states=[TURN_STATE_PAUSED])
    )
    assert fields["states"] == (TurnState.PAUSED,)


def test_a_message_of_a_user() -> None:
    request = said("hello")
    request.request_id = "r"
    request.detach = True
    request.busy_policy = input_pb2.BUSY_POLICY_REJECT
    assert from_send_message(request) == {
        "session_id": "s",
        "request_id": "r",
        "content": Said("hello"),
        "expected_turn_id": "",
        "after_sequence": None,
        "detach": True,
    }


@pytest.mark.parametrize(
    ("wire", "policy"),
    [
        (input_pb2.BUSY_POLICY_UNSPECIFIED, BusyPolicy.REJECT),
        (input_pb2.BUSY_POLICY_QUEUE, BusyPolicy.QUEUE),
        (input_pb2.BUSY_POLICY_STEER, BusyPolicy.STEER),
        (input_pb2.BUSY_POLICY_INTERRUPT, BusyPolicy.INTERRUPT),
    ],
)
def test_a_message_says_what_it_does_to_the_active_turn(
    wire: input_pb2.BusyPolicy.ValueType, policy: BusyPolicy
) -> None:
    request = said("hello")
    request.busy_policy = wire
    request.expected_turn_id = "turn_1"
    fields = from_send_message(request)
    assert (fields["content"], fields["expected_turn_id"]) == (Said("hello", busy_policy=policy), "turn_1")


def test_limits_are_those_that_are_set() -> None:
    given = TurnLimits(max_model_calls=1, max_agent_switches=0, max_running_time=Duration(nanos=500_000_000))
    limits_ = CallerLimits(model_calls=1, agent_switches=0, running_time=0.5)
    request = SendMessageRequest(session_id="s", limits=given, user_message=UserMessage(text="x"))
    assert from_send_message(request)["content"] == Said("x", limits=limits_)
    request = SendMessageRequest(session_id="s", resume=input_pb2.Resume(limits=given))
    assert from_send_message(request)["content"] == Resume(limits_)
    request = SendMessageRequest(session_id="s", resume=input_pb2.Resume())
    assert from_send_message(request)["content"] == Resume()


def test_limits_that_are_none_are_named() -> None:
    given = TurnLimits(
        max_model_calls=0, max_tool_calls=-1, max_agent_switches=-1, max_tokens=0, max_running_time=Duration()
    )
    names = [field.name for field in TurnLimits.DESCRIPTOR.fields]
    request = SendMessageRequest(session_id="s", limits=given, user_message=UserMessage(text="x"))
    assert violations(lambda: from_send_message(request)) == [f"limits.{name}" for name in names]
    request = SendMessageRequest(session_id="s", resume=input_pb2.Resume(limits=given))
    assert violations(lambda: from_send_message(request)) == [f"resume.limits.{name}" for name in names]


def test_an_input_that_is_taken_back_is_named() -> None:
    request = message_service_pb2.WithdrawInputRequest(session_id="s", request_id="no/slashes")
    assert violations(lambda: message_requests.from_withdraw_input(request)) == ["input_id", "request_id"]


def test_an_input_is_required() -> None:
    assert violations(lambda: from_send_message(SendMessageRequest())) == ["session_id", "input"]


def test_a_reattachment_needs_its_request_id() -> None:
    request = said()
    request.after_sequence = 0
    assert violations(lambda: from_send_message(request)) == ["request_id"]
    request.request_id = "r"
    assert from_send_message(request)["after_sequence"] == 0


def test_numbers_of_events_are_not_negative() -> None:
    request = said()
    request.request_id = "r"
    request.after_sequence = -1
    assert violations(lambda: from_send_message(request)) == ["after_sequence"]
    watch = WatchSessionRequest(session_id="s", after_sequence=-1)
    assert violations(lambda: message_requests.from_watch_session(watch)) == ["after_sequence"]


def test_from_the_start_and_from_now_are_told_apart() -> None:
    assert message_requests.from_watch_session(WatchSessionRequest(session_id="s"))["after_sequence"] is None
    start = WatchSessionRequest(session_id="s", after_sequence=0)
    assert message_requests.from_watch_session(start)["after_sequence"] == 0


@pytest.mark.parametrize(
    "request_",
    [
        SendMessageRequest(
            tool_results=input_pb2.ToolResults(results=[input_pb2.ToolResult(tool_call_id="c", text="")])
        ),
        SendMessageRequest(
            approval_decision=input_pb2.ApprovalDecision(
                approval_id="a", arguments_hash="h", decision=approval_pb2.DECISION_REJECT
            )
        ),
        SendMessageRequest(followup_answer=input_pb2.FollowupAnswer(followup_id="f", text="yes")),
        SendMessageRequest(resume=input_pb2.Resume()),
    ],
    ids=lambda request_: request_.WhichOneof("input"),
)
def test_policy_and_limits_go_with_a_message_alone(request_: SendMessageRequest) -> None:
    request_.session_id = "s"
    request_.busy_policy = input_pb2.BUSY_POLICY_REJECT
    request_.limits.SetInParent()
    assert violations(lambda: from_send_message(request_)) == ["busy_policy", "limits"]


def test_a_policy_nobody_knows_is_refused() -> None:
    request = said()
    request.busy_policy = 99  # type: ignore[assignment]
    assert violations(lambda: from_send_message(request)) == ["busy_policy"]


EAGER = ClientTool(name="look", description="looks", read_only=True, speculative=True)
LATER: list[tuple[str, Callable[[], object]]] = [
    ("user_message.workspace_revision", lambda: from_send_message(said(workspace_revision="1"))),
    (
        "client_tools.speculative",
        lambda: session_requests.from_create_session(sessions.CreateSessionRequest(client_tools=[EAGER])),
    ),
    (
        "client_tools.speculative",
        lambda: session_requests.from_update_session(
            sessions.UpdateSessionRequest(session_id="s", client_tools=ClientToolSet(tools=[EAGER]))
        ),
    ),
    (
        "tool_call_deltas",
        lambda: session_requests.from_create_session(sessions.CreateSessionRequest(tool_call_deltas=True)),
    ),
    (
        "tool_call_deltas",
        lambda: session_requests.from_update_session(
            sessions.UpdateSessionRequest(session_id="s", tool_call_deltas=True)
        ),
    ),
]


@pytest.mark.parametrize(("feature", "work"), LATER, ids=[feature for feature, _ in LATER])
def test_what_is_not_offered_yet_is_refused_by_name(feature: str, work: Callable[[], object]) -> None:
    with pytest.raises(NotImplementedYetError, match=f"^{feature}: not implemented yet$"):
        work()


def test_a_turn_is_named_or_not() -> None:
    assert violations(lambda: message_requests.from_get_turn(message_service_pb2.GetTurnRequest(session_id="s"))) == [
        "turn_id"
    ]
    fields = message_requests.from_cancel_turn(message_service_pb2.CancelTurnRequest(session_id="s"))
    assert fields == {"session_id": "s", "turn_id": "", "withdraw_pending": False, "request_id": ""}
