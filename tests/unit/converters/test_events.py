"""Every event of the log reaches the wire whole."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.v1 import turn_pb2
from agent_runtime.v1.session_event_pb2 import SessionEvent as WireEvent
from server.converters.event import PAYLOADS, fill_event
from services.domain import session_events as log
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import FinishReason, Usage
from services.domain.turn import WaitingFor
from tests.unit.converters import samples
from tests.unit.converters.likeness import assert_alike

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
# These are compared below: the contract shows them in another form.
SHOWN_OTHERWISE = frozenset({"message", "finish_reason", "confidence", "waiting_for"})


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
    assert_alike(getattr(wire, snake_case(kind.__name__)), event.payload, but=SHOWN_OTHERWISE)


@given(samples.messages())
def test_a_message_reaches_the_wire_whole(message: Message) -> None:
    wire = wire_of(log.MessageAdded(message)).message_added.message
    assert_alike(wire, message, but=frozenset({"complete"}))
    assert (wire.state == 1) is message.complete


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
