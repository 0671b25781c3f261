"""Every event of the log reaches the wire whole."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.v1 import error_reason_pb2, turn_pb2
from agent_runtime.v1.session_event_pb2 import SessionEvent as WireEvent
from server.converters.event import PAYLOADS, fill_event
from services.domain import session_events as log
from services.domain.approval import Approval
from services.domain.errors import ErrorReason
from services.domain.input import Disposition, RejectedToolResult
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import FinishReason, Usage
from services.domain.turn import Followup, WaitingFor
from tests.unit.converters import samples
from tests.unit.converters.likeness import assert_alike

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
# The log knows more than the contract shows.
NEVER_SHOWN = frozenset({"tool_name"})
# These are compared below: the contract shows them in another form.
SHOWN_OTHERWISE = frozenset({"message", "finish_reason", "confidence", "waiting_for", "approval", "followup"})


def wire_of(payload: log.Payload) -> WireEvent:
    wire = WireEvent()
    fill_event(wire, log.SessionEvent("s", 1, payload, NOW, "c"))
    return wire


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_payload_class_is_converted() -> None:
    assert set(PAYLOADS) == set(samples.PAYLOAD_CLASSES)


@pytest.mark.parametrize("kind", samples.PAYLOAD_CLASSES, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_event_reaches_the_wire_whole(kind: type[log.Payload], data: st.DataObject) -> None:
    event = data.draw(samples.events(samples.payloads(kind)))
    filled = WireEvent()
    fill_event(filled, event)
    wire = WireEvent.FromString(filled.SerializeToString())

    assert wire.WhichOneof("payload") == snake_case(kind.__name__)
    assert (wire.session_id, wire.sequence, wire.correlation_id) == (
        event.session_id,
        event.sequence,
        event.correlation_id,
    )
    assert wire.event_time.ToDatetime(tzinfo=UTC) == event.event_time
    assert (wire.turn_id if wire.HasField("turn_id") else None) == event.turn_id
    assert_alike(getattr(wire, snake_case(kind.__name__)), event.payload, but=SHOWN_OTHERWISE | NEVER_SHOWN)


@given(samples.messages())
def test_a_message_reaches_the_wire_whole(message: Message) -> None:
    wire = wire_of(log.MessageAdded(message)).message_added.message
    assert_alike(wire, message, but=frozenset({"complete"}))
    assert (wire.state == 1) is message.complete


@given(samples.approvals)
def test_an_approval_reaches_the_wire_whole_and_in_its_session(approval: Approval) -> None:
    wire = wire_of(log.ApprovalRequested(approval)).approval_requested.approval
    assert_alike(wire, approval, but=frozenset({"input_id", "accepted_sequence", "policy_version", "remember"}))
    assert wire.session_id == "s"


@given(samples.followups)
def test_a_question_reaches_the_wire_whole(followup: Followup) -> None:
    wire = wire_of(log.FollowupAsked(followup)).followup_asked
    assert_alike(wire, followup, but=frozenset({"id"}))
    assert wire.followup_id == followup.id


def test_a_refused_result_is_told_with_its_reason() -> None:
    refused = RejectedToolResult("call_1", ErrorReason.TOOL_CALL_NOT_OPEN, "it is settled")
    wire = wire_of(log.InputAccepted("i", "r", "t", Disposition.CONTINUED, (refused,))).input_accepted
    (told,) = wire.rejected_results
    assert (told.tool_call_id, told.message) == ("call_1", "it is settled")
    assert told.reason == error_reason_pb2.ERROR_REASON_TOOL_CALL_NOT_OPEN


def test_an_edited_call_says_so_in_the_order_and_in_the_history() -> None:
    order = wire_of(log.ToolCallsRequested("b", (log.RequestedToolCall("c", "write_file", "{}", True),)))
    assert order.tool_calls_requested.calls[0].arguments_edited
    message = Message(
        id="m",
        role=Role.ASSISTANT,
        content="",
        create_time=NOW,
        tool_calls=(MessageToolCall("c", "write_file", "{}", arguments_edited=True),),
    )
    assert wire_of(log.MessageAdded(message)).message_added.message.tool_calls[0].arguments_edited


def test_the_reason_of_an_end_without_calls_is_told_as_unknown() -> None:
    payload = log.TurnCompleted(FinishReason.TOOL_CALLS, "done", "m", Usage())
    assert wire_of(payload).turn_completed.finish_reason == turn_pb2.FINISH_REASON_UNKNOWN


def test_waits_are_told_in_the_order_of_the_enum() -> None:
    wire = wire_of(log.TurnPaused((WaitingFor.BUDGET, WaitingFor.APPROVAL, WaitingFor.TOOL_RESULTS)))
    assert list(wire.turn_paused.waiting_for) == [
        turn_pb2.WAIT_REASON_TOOL_RESULTS,
        turn_pb2.WAIT_REASON_APPROVAL,
        turn_pb2.WAIT_REASON_BUDGET,
    ]


def test_a_payload_without_content_is_there_all_the_same() -> None:
    assert wire_of(log.SessionDeleted()).WhichOneof("payload") == "session_deleted"
    assert wire_of(log.MessagesCleared(0)).WhichOneof("payload") == "messages_cleared"
    assert wire_of(log.TurnPaused(())).WhichOneof("payload") == "turn_paused"


def test_argument_text_is_kept_to_the_letter() -> None:
    arguments = '{ "path" : "a.md", "n": 1.0 }\n'
    message = Message(
        id="m",
        role=Role.ASSISTANT,
        content="",
        create_time=NOW,
        tool_calls=(MessageToolCall("c", "read_file", arguments),),
    )
    assert wire_of(log.MessageAdded(message)).message_added.message.tool_calls[0].arguments_json == arguments
