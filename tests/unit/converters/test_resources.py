"""Sessions, turns, agents and what streams carry beside events reach the wire whole."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.v1 import agent_pb2
from server.converters.agent import to_agent, to_agent_context, to_agent_switch
from server.converters.session import to_session
from server.converters.stream import to_send_message_response, to_snapshot, to_watch_session_response
from server.converters.turn import to_open_tool_call, to_turn
from server.converters.usage import to_agent_usage_stats
from services.application.event_stream import Drain, Gap, GapReason, Heartbeat, Item
from services.application.ports import AgentUsage, SessionSnapshot, SessionView, TurnView
from services.domain.agent import AgentDefinition
from services.domain.agent_context import AgentSwitch
from services.domain.model_exchange import Usage
from services.domain.session_events import SessionEvent, TextDelta
from services.domain.tool_call import ToolCall
from services.domain.turn import CancelCause
from tests.unit.converters import samples
from tests.unit.converters.likeness import assert_alike

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@given(samples.session_views())
def test_a_session(view: SessionView) -> None:
    wire = to_session(view)
    assert_alike(wire, view.session, but=frozenset({"key", "last_ordinal"}))
    assert wire.duration.ToTimedelta() == view.session.duration
    assert wire.current_agent == view.context.current_agent
    assert wire.active_turn_id == (view.active_turn_id or "")
    assert wire.last_sequence == view.last_sequence


@given(samples.turn_views())
def test_a_turn(view: TurnView) -> None:
    wire = to_turn("s", view)
    otherwise = {"correlation_id", "attempt", "waiting_for", "finish_reason", "cancel_cause", "cancelled_by"}
    assert_alike(wire, view.turn, but=frozenset(otherwise))
    assert wire.session_id == "s"
    assert list(wire.open_tool_call_ids) == [call.id for call in view.open_calls]
    assert wire.HasField("cancellation") == (view.turn.cancel_cause is not None)
    assert (wire.cancellation.cause == 1) == (view.turn.cancel_cause is CancelCause.USER)


@given(samples.tool_calls)
def test_an_open_tool_call(call: ToolCall) -> None:
    wire = to_open_tool_call(call)
    of_the_call = frozenset({"id", "name", "arguments_json"})
    assert_alike(wire, call, but=of_the_call | {"message_id", "position", "state"})
    assert (wire.call.id, wire.call.name, wire.call.arguments_json) == (call.id, call.name, call.arguments_json)


@given(st.builds(AgentSwitch, ordinal=samples.numbers, confidence=samples.confidences, time=samples.times))
def test_an_agent_switch(switch: AgentSwitch) -> None:
    wire = to_agent_switch(switch)
    assert_alike(wire, switch, but=frozenset({"confidence", "time"}))
    assert wire.create_time.ToDatetime(tzinfo=UTC) == switch.time


def test_an_agent_without_its_prompt() -> None:
    wire = to_agent(AgentDefinition("universal", "does everything", "1.0", "you are secret"))
    assert (wire.name, wire.description, wire.version, wire.model) == ("universal", "does everything", "1.0", "")
    assert wire.client_tool_access == agent_pb2.CLIENT_TOOL_ACCESS_NONE
    assert wire.file_rules.write_access == agent_pb2.WRITE_ACCESS_NONE
    assert b"secret" not in wire.SerializeToString()


@given(samples.session_views())
def test_an_agent_context(view: SessionView) -> None:
    wire = to_agent_context(view)
    assert_alike(wire, view.context)
    assert (wire.session_id, wire.switch_limit) == (view.session.id, 50)


def test_usage_statistics() -> None:
    stats = AgentUsage("coder", 1, 2, 3, 4, 5, Usage(6, 7, 8, 9, True))
    assert_alike(to_agent_usage_stats(stats), stats)


@given(samples.session_views(), samples.turn_views())
def test_a_snapshot_of_a_running_turn(view: SessionView, turn: TurnView) -> None:
    wire = to_snapshot(SessionSnapshot(view, turn, "m", "so far", "thought", 7))
    assert wire.as_of_sequence == 7
    assert wire.session == to_session(view)
    assert wire.agent_context == to_agent_context(view)
    assert wire.active_turn == to_turn(view.session.id, turn)
    assert list(wire.open_tool_calls) == [to_open_tool_call(call) for call in turn.open_calls]
    assert (wire.partial_message.message_id, wire.partial_message.text) == ("m", "so far")
    assert wire.partial_message.reasoning == "thought"


@given(samples.session_views())
def test_a_snapshot_of_an_idle_session(view: SessionView) -> None:
    item = SessionSnapshot(view, None, None, "", "", 7)
    wire = to_watch_session_response(item)
    assert wire.WhichOneof("item") == "snapshot"
    assert not wire.snapshot.HasField("active_turn")
    assert not wire.snapshot.HasField("partial_message")


def test_items_are_the_same_in_both_kinds_of_stream() -> None:
    items: list[Item] = [
        SessionEvent("s", 3, TextDelta("m", "hello"), NOW, "c", "t"),
        Gap(1, 2, GapReason.COMPACTED, ("m",)),
        Heartbeat(0),
        Drain(0),
    ]
    for item, kind in zip(items, ["event", "gap", "heartbeat", "drain"], strict=True):
        sent, watched = to_send_message_response(item), to_watch_session_response(item)
        assert sent.WhichOneof("item") == watched.WhichOneof("item") == kind
        assert getattr(sent, kind) == getattr(watched, kind)


def test_what_streams_carry_beside_events() -> None:
    gap = Gap(4, 9, GapReason.CLEARED)
    assert_alike(to_watch_session_response(gap).gap, gap)
    assert to_watch_session_response(Heartbeat(8)).heartbeat.last_sequence == 8
    assert to_watch_session_response(Drain(9)).drain.resume_after_sequence == 9
