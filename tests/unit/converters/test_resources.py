"""Sessions, turns, agents and what streams carry beside events reach the wire whole."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime.v1 import agent_pb2, tool_pb2
from server.converters.agent import to_agent
from server.converters.agent_context import to_agent_context, to_agent_switch
from server.converters.approval import to_approval
from server.converters.session import to_session
from server.converters.stream import to_send_message_response, to_snapshot, to_watch_session_response
from server.converters.tool import to_open_tool_call, to_tool_spec
from server.converters.tool_event import to_followup
from server.converters.turn import to_turn
from server.converters.usage import to_agent_usage_stats
from services.application.event_stream import Drain, Gap, GapReason, Heartbeat, Item
from services.application.ports import AgentUsage, SessionSnapshot, SessionView
from services.domain.agent import AgentDefinition, AgentOrigin, ClientToolAccess
from services.domain.agent_context import AgentContext, AgentSwitch
from services.domain.agent_work import AgentWork, CodingWork, ExecutedCommand
from services.domain.model_exchange import Usage
from services.domain.policies.file_rules import FileRules, WriteAccess
from services.domain.session import Session, SessionState
from services.domain.session_events import SessionEvent, TextDelta
from services.domain.tool import Tool, ToolExecutor
from services.domain.tool_call import ToolCall
from services.domain.turn import CallerLimits, CancelCause, Turn, Wait
from tests.unit.converters import samples
from tests.unit.converters.likeness import assert_alike

NOW = datetime(2030, 1, 1, tzinfo=UTC)


@given(samples.session_views())
def test_a_session(view: SessionView) -> None:
    wire = to_session(view)
    assert_alike(wire, view.session, but=frozenset({"key", "last_ordinal", "history_bytes"}))
    assert_alike(wire, view, but=frozenset({"session", "context", "last_sequence", "active_turn_id"}))
    assert wire.duration.ToTimedelta() == view.session.duration
    assert wire.current_agent == view.context.current_agent
    assert wire.active_turn_id == (view.active_turn_id or "")
    assert wire.last_sequence == view.last_sequence


OF_THE_INSIDE = {
    "principal",
    "correlation_id",
    "traceparent",
    "attempt",
    "batch_ordinal",
    "work_start_time",
    "counted_from",
    "repeats",
    "shares",
    "models",
}
SHOWN_OTHERWISE = {"wait", "limits", "finish_reason", "cancel_cause", "cancelled_by"}


@given(samples.turns())
def test_a_turn(turn: Turn) -> None:
    wire = to_turn("s", turn)
    assert_alike(wire, turn, but=frozenset(OF_THE_INSIDE | SHOWN_OTHERWISE))
    assert wire.session_id == "s"
    assert wire.HasField("cancellation") == (turn.cancel_cause is not None)
    assert (wire.cancellation.cause == 1) == (turn.cancel_cause is CancelCause.USER)
    assert wire.HasField("limits") == (turn.limits is not None)
    limits = turn.limits or CallerLimits()
    for name in ("model_calls", "tool_calls", "agent_switches", "tokens", "running_time"):
        assert wire.limits.HasField(f"max_{name}") == (getattr(limits, name) is not None)  # type: ignore[arg-type]
    wait = turn.wait or Wait(())
    assert_alike(wire, wait, but=frozenset({"reasons", "followup"}))
    assert len(wire.waiting_for) == len(wait.reasons)
    assert wire.followup_id == (wait.followup.id if wait.followup is not None else "")


@given(samples.tool_calls)
def test_an_open_tool_call(call: ToolCall) -> None:
    wire = to_open_tool_call(call)
    assert (wire.turn_id, wire.batch_id, wire.agent) == (call.turn_id, call.batch_id, call.agent)
    assert (wire.call.id, wire.call.name, wire.call.arguments_json) == (call.id, call.name, call.arguments_json)
    assert wire.call.arguments_edited == (call.original_arguments_json is not None)
    assert wire.create_time.ToDatetime(tzinfo=UTC) == call.create_time
    assert wire.HasField("expire_time") == (call.expire_time is not None)


@given(st.builds(AgentSwitch, ordinal=samples.numbers, confidence=samples.confidences, time=samples.times))
def test_an_agent_switch(switch: AgentSwitch) -> None:
    wire = to_agent_switch(switch)
    assert_alike(wire, switch, but=frozenset({"confidence", "time"}))
    assert wire.create_time.ToDatetime(tzinfo=UTC) == switch.time


class FewTools:
    """A catalog of two tools."""

    read = Tool("read_file", "reads", {"type": "object", "b": 1, "a": "я"}, read_only=True)
    run = Tool("execute_command", "runs", {}, ToolExecutor.RUNTIME)

    def get(self, name: str) -> Tool | None:
        return next((tool for tool in self.all() if tool.name == name), None)

    def all(self) -> tuple[Tool, ...]:
        return (self.run, self.read)


def test_an_agent_without_its_prompt() -> None:
    wire = to_agent(AgentDefinition("universal", "does everything", "1.0", "you are secret"), FewTools())
    assert (wire.name, wire.description, wire.version, wire.model) == ("universal", "does everything", "1.0", "")
    assert (wire.client_tool_access, wire.origin) == (
        agent_pb2.CLIENT_TOOL_ACCESS_NONE,
        agent_pb2.AGENT_ORIGIN_BUILT_IN,
    )
    assert wire.file_rules.write_access == agent_pb2.WRITE_ACCESS_NONE
    assert not wire.routable
    assert b"secret" not in wire.SerializeToString()


def test_an_agent_with_everything() -> None:
    definition = AgentDefinition(
        name="architect",
        description="designs",
        version="2",
        system_prompt="secret",
        tools=("read_file", "execute_command"),
        client_tools=ClientToolAccess.READ_ONLY,
        file_rules=FileRules(WriteAccess.MATCHING, ("*.md", "docs/*.txt")),
        routable=True,
        model="large",
        origin=AgentOrigin.DEFINITION_FILE,
    )
    wire = to_agent(definition, FewTools())
    assert list(wire.tools) == [to_tool_spec(FewTools.read), to_tool_spec(FewTools.run)]
    assert wire.client_tool_access == agent_pb2.CLIENT_TOOL_ACCESS_READ_ONLY
    assert wire.file_rules == agent_pb2.FileRules(
        write_access=agent_pb2.WRITE_ACCESS_MATCHING, write_patterns=["*.md", "docs/*.txt"]
    )
    assert (wire.model, wire.origin, wire.routable) == ("large", agent_pb2.AGENT_ORIGIN_DEFINITION_FILE, True)


def test_a_tool_is_shown_with_its_schema_as_the_model_gets_it() -> None:
    wire = to_tool_spec(FewTools.read)
    assert (wire.name, wire.description, wire.parameters_json) == (
        "read_file",
        "reads",
        '{"a":"я","b":1,"type":"object"}',
    )
    assert (wire.executor, wire.read_only, wire.always_ask) == (tool_pb2.TOOL_EXECUTOR_CLIENT, True, False)
    run = to_tool_spec(FewTools.run)
    assert (run.executor, run.read_only, run.always_ask) == (tool_pb2.TOOL_EXECUTOR_RUNTIME, False, True)


@given(samples.session_views())
def test_an_agent_context(view: SessionView) -> None:
    wire = to_agent_context(view)
    assert_alike(wire, view.context, but=frozenset({"last_switch", "work"}))
    assert_alike(wire, view.context.work)
    assert (wire.session_id, wire.switch_limit) == (view.session.id, 50)


@pytest.mark.parametrize(
    ("reported", "told"),
    [(None, None), (0, 0), (-1, -1), (2**31 - 1, 2**31 - 1), (3_221_225_786, -1_073_741_510), (2**32, None)],
)
def test_an_exit_code_fits_32_bits_or_is_left_out(reported: int | None, told: int | None) -> None:
    session = Session(1, "s", "o", "", "", SessionState.ACTIVE, NOW, NOW, NOW)
    work = AgentWork(CodingWork(commands_executed=(ExecutedCommand("make", reported, NOW),)))
    (command,) = to_agent_context(SessionView(session, AgentContext("coder", work=work))).coder.commands_executed
    assert (command.exit_code if command.HasField("exit_code") else None) == told


def test_usage_statistics() -> None:
    stats = AgentUsage("coder", 1, 2, 3, 4, 5, Usage(6, 7, 8, 9, True))
    assert_alike(to_agent_usage_stats(stats), stats)


@given(samples.snapshots())
def test_a_snapshot(snapshot: SessionSnapshot) -> None:
    wire = to_snapshot(snapshot)
    session_id = snapshot.view.session.id
    assert wire.as_of_sequence == snapshot.as_of_sequence
    assert wire.session == to_session(snapshot.view)
    assert wire.agent_context == to_agent_context(snapshot.view)
    assert list(wire.open_tool_calls) == [to_open_tool_call(call) for call in snapshot.open_calls]
    assert list(wire.pending_approvals) == [to_approval(session_id, it) for it in snapshot.pending_approvals]
    assert [pending.queue_position for pending in wire.pending_inputs] == list(
        range(1, len(snapshot.pending_inputs) + 1)
    )
    for shown, pending in zip(wire.pending_inputs, snapshot.pending_inputs, strict=True):
        assert pending.message is not None
        assert (shown.id, shown.request_id, shown.submitted_by) == (pending.id, pending.request_id, pending.principal)
        assert shown.user_message.text == pending.message.text
        assert shown.user_message.HasField("agent") == (pending.message.agent is not None)
    assert wire.partial_message.message_id == snapshot.draft_message_id
    assert (wire.partial_message.text, wire.partial_message.reasoning) == (
        snapshot.draft_text,
        snapshot.draft_reasoning,
    )
    assert wire.HasField("active_turn") == (snapshot.turn is not None)
    wait = snapshot.turn.wait if snapshot.turn is not None else None
    if snapshot.turn is not None:
        assert wire.active_turn == to_turn(session_id, snapshot.turn)
    if wait is not None and wait.followup is not None:
        assert wire.open_followup == to_followup(wait.followup)
    else:
        assert not wire.HasField("open_followup")


@given(samples.session_views())
def test_a_snapshot_of_an_idle_session(view: SessionView) -> None:
    item = SessionSnapshot(view, None, None, "", "", (), (), (), 7)
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
