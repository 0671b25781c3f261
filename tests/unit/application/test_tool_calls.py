"""Every call of an answer meets its fate at once: refused, held for a person, ordered, or waiting for another."""

from __future__ import annotations

import pytest

from services.application.turns.turn_limits import TurnLimits
from services.domain.message import MessageToolCall, Role
from services.domain.policies.approval_rules import ApprovalEffect, ApprovalRule, RuleOrigin, RuleScope
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_events import (
    ApprovalRequested,
    ExecutionMode,
    RequestedToolCall,
    ToolCallsRequested,
    ToolResultRecorded,
    TurnPaused,
)
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCallState, ToolResultSource
from services.domain.turn import TurnState, WaitingFor
from tests.support.changes import DATABASE_NOW, kinds, payloads
from tests.support.conversation import Conversation, call, command, done, question, read, result, write

DEEP = '{"path":' * 100_000
SCHEMA = '{"type": "object", "properties": {"target": {"type": "string"}}}'
DEPLOY = ClientTool("deploy", "", SCHEMA)
PEEK = ClientTool("peek", "", SCHEMA, read_only=True)


def a_rule(tool: str, effect: ApprovalEffect, description: str = "") -> ApprovalRule:
    return ApprovalRule("rule-1", tool, effect, RuleScope.GLOBAL, RuleOrigin.CONFIG, description=description)


def asked(*calls: MessageToolCall, **options: object) -> Conversation:
    """A conversation in which the model has just made these calls."""
    talk = Conversation(**options)  # type: ignore[arg-type]
    talk.user()
    talk.model(*calls)
    return talk


class TestAReadOfTheWorkspace:
    def test_is_ordered_at_once_and_the_turn_waits_for_its_result(self) -> None:
        talk = Conversation()
        talk.user()
        change = talk.model(read("c1"), text="Let me look.")
        assert kinds(change) == ["MessageAdded", "UsageReported", "ToolCallsRequested", "TurnPaused"]
        assert talk.orders == [["c1"]]
        assert talk.paused.reasons == (WaitingFor.TOOL_RESULTS,)
        assert talk.paused.open_tool_call_ids == ("c1",)

    def test_is_ordered_with_the_arguments_of_the_model_to_the_letter(self) -> None:
        talk = Conversation()
        talk.user()
        text = '{ "path" : "a.py" }'
        [order] = [p for p in payloads(talk.model(MessageToolCall("c1", "read_file", text))) if _is_order(p)]
        assert isinstance(order, ToolCallsRequested)
        assert order.calls == (RequestedToolCall("c1", "read_file", text),)

    def test_expires_by_the_databases_clock(self) -> None:
        talk = asked(read("c1"), limits=TurnLimits(tool_result_wait=60))
        assert talk.record("c1").expire_time == talk.paused.expire_time
        assert talk.paused.expire_time is not None
        assert (talk.paused.expire_time - DATABASE_NOW).total_seconds() == 60

    def test_leaves_nobody_the_owner_of_the_session(self) -> None:
        talk = asked(read("c1"))
        assert not talk.memory.owned
        assert talk.turn.attempt is None

    def test_of_several_makes_one_order_that_may_run_at_the_same_time(self) -> None:
        talk = Conversation()
        talk.user()
        change = talk.model(read("c1", "a"), read("c2", "b"), call("c3", "list_files"))
        orders = [payload for payload in payloads(change) if isinstance(payload, ToolCallsRequested)]
        assert [[each.id for each in order.calls] for order in orders] == [["c1", "c2", "c3"]]
        assert orders[0].execution_mode is ExecutionMode.PARALLEL
        assert {record.batch_id for record in talk.memory.calls.values()} == {orders[0].batch_id}


class TestACallThatMustNotRun:
    @pytest.mark.parametrize(
        ("agent", "wanted", "said"),
        [
            ("coder", call("c1", "teleport"), "no such tool"),
            ("coder", call("c1", "delete_file", path="a.py"), "no such tool"),
            ("coder", call("c1", "write file", path="a.py", content=""), "no such tool"),
            ("ask", write("c1", "a.md"), "no such tool"),
            ("ask", command("c1"), "no such tool"),
            ("debug", write("c1", "a.py"), "no such tool"),
            ("coder", MessageToolCall("c1", "read_file", ""), "empty"),
            ("coder", MessageToolCall("c1", "read_file", '{"path": "a'), "not valid JSON"),
            ("coder", MessageToolCall("c1", "read_file", '["a.py"]'), "one JSON object"),
            ("coder", MessageToolCall("c1", "read_file", '{"path": "a", "path": "b"}'), "twice"),
            ("coder", MessageToolCall("c1", "read_file", '{"path": NaN}'), "NaN"),
            ("coder", MessageToolCall("c1", "read_file", DEEP), "nested"),
            ("coder", call("c1", "read_file"), "path is required"),
            ("coder", call("c1", "read_file", path=1), "path must be of type string"),
            ("coder", call("c1", "read_file", path="a", mode="r"), "mode is not an argument"),
            ("coder", read("c1", "../a.py"), "leaves the workspace"),
            ("coder", read("c1", "/etc/passwd"), "relative"),
            ("coder", write("c1", "a\x00.py"), "invisible"),
            ("coder", call("c1", "execute_command", command="ls", cwd=".."), "leaves the workspace"),
            ("architect", write("c1", "x.py"), "*.md"),
            ("architect", write("c1", "../x.md"), "leaves the workspace"),
            ("architect", write("c1", "a.md/../b.py"), "*.md"),
            ("architect", write("c1", "x.py\x00.md"), "invisible"),
            ("architect", write("c1", "/etc/x.md"), "relative"),
            ("architect", write("c1", "a.md\n"), "invisible"),
        ],
    )
    def test_is_answered_with_the_reason_and_the_model_goes_on(
        self, agent: str, wanted: MessageToolCall, said: str
    ) -> None:
        talk = Conversation(agent=agent)
        talk.user()
        change = talk.model(wanted)
        assert talk.is_running
        assert talk.turn.model_calls == 2
        assert said in talk.told("c1")
        assert talk.is_error("c1")
        assert talk.record("c1").outcome is CallOutcome.FAILED
        assert talk.orders == []
        assert talk.memory.approvals == {}
        [recorded] = [payload for payload in payloads(change) if isinstance(payload, ToolResultRecorded)]
        assert recorded == ToolResultRecorded("c1", True, ToolResultSource.RUNTIME)

    def test_is_told_which_tools_there_are(self) -> None:
        talk = asked(call("c1", "teleport"), agent="ask")
        assert "read_file, list_files, search_in_code, switch_mode" in talk.told("c1")

    def test_by_an_operators_rule_is_told_what_the_rule_says(self) -> None:
        rule = a_rule("execute_command", ApprovalEffect.DENY, "nothing is run on this machine")
        talk = asked(command("c1"), rules=[rule])
        assert "nothing is run on this machine" in talk.told("c1")
        assert talk.memory.approvals == {}

    def test_stops_no_other_call(self) -> None:
        talk = asked(call("c1", "teleport"), read("c2"), write("c3", "../x"))
        assert talk.orders == [["c2"]]
        talk.results(result("c2"))
        assert talk.is_running
        assert [message.tool_call_id for message in talk.memory.messages if message.role is Role.TOOL] == [
            "c1",
            "c3",
            "c2",
        ]


class TestACallThatNeedsAPerson:
    def test_is_shown_and_not_ordered(self) -> None:
        talk = Conversation()
        talk.user()
        change = talk.model(write("c1", "a.py", "x = 1"))
        assert kinds(change) == ["MessageAdded", "UsageReported", "ApprovalRequested", "TurnPaused"]
        [approval] = [payload.approval for payload in payloads(change) if isinstance(payload, ApprovalRequested)]
        assert (approval.tool_call_id, approval.tool_name, approval.agent) == ("c1", "write_file", "coder")
        assert "a.py" in approval.display
        assert "x = 1" in approval.display
        assert len(approval.arguments_hash) == 64
        assert approval.reason
        assert talk.paused.reasons == (WaitingFor.APPROVAL,)
        assert talk.paused.pending_approval_ids == (approval.id,)
        assert talk.record("c1").state is ToolCallState.HELD

    def test_expires_by_the_databases_clock_or_never(self) -> None:
        talk = asked(write("c1"), limits=TurnLimits(approval_wait=60))
        expire_time = talk.approval("c1").expire_time
        assert expire_time is not None
        assert (expire_time - DATABASE_NOW).total_seconds() == 60
        assert talk.paused.expire_time == expire_time
        patient = asked(write("c1"), limits=TurnLimits(approval_wait=None))
        assert (patient.approval("c1").expire_time, patient.paused.expire_time) == (None, None)

    def test_holds_nobody_else_up(self) -> None:
        talk = asked(write("c1", "a.py"), read("c2", "b.py"))
        assert talk.orders == [["c2"]]
        assert talk.paused.reasons == (WaitingFor.TOOL_RESULTS, WaitingFor.APPROVAL)
        talk.results(result("c2"))
        assert list(talk.paused.reasons) == [WaitingFor.APPROVAL]

    def test_names_the_rule_that_asks(self) -> None:
        talk = asked(read("c1"), rules=[a_rule("read_file", ApprovalEffect.ASK, "reads are watched here")])
        approval = talk.approval("c1")
        assert (approval.rule_id, approval.reason) == ("rule-1", "reads are watched here")

    def test_does_not_when_the_operator_lets_it_run(self) -> None:
        talk = asked(command("c1"), rules=[a_rule("execute_command", ApprovalEffect.ALLOW)])
        assert talk.orders == [["c1"]]
        assert talk.memory.approvals == {}

    @pytest.mark.parametrize(
        "wanted",
        [
            call("c1", "switch_mode", mode="ask"),
            question("c1"),
            done("c1"),
        ],
        ids=lambda wanted: wanted.name,
    )
    def test_may_be_one_of_the_runtimes_own(self, wanted: MessageToolCall) -> None:
        talk = asked(wanted, rules=[a_rule(wanted.name, ApprovalEffect.ASK)])
        assert talk.pending == ["c1"], "an explicit ask is never beaten in silence"
        assert talk.paused.reasons == (WaitingFor.APPROVAL,)
        assert talk.memory.context.current_agent == "coder"

    def test_says_if_there_is_something_unseen_in_it(self) -> None:
        talk = asked(write("c1", content="a\u202eb"), write("c2", "b.py"))
        assert [talk.approval(id_).has_hidden_characters for id_ in ("c1", "c2")] == [True, False]


class TestAToolTheClientBrought:
    def test_is_offered_to_agents_that_may_use_it_and_asks_unless_it_only_reads(self) -> None:
        talk = asked(call("c1", "deploy", target="x"), call("c2", "peek"), client_tools=[DEPLOY, PEEK])
        assert talk.pending == ["c1"]
        assert talk.orders == [["c2"]]

    def test_that_changes_things_is_not_there_for_agents_that_only_read(self) -> None:
        talk = asked(call("c1", "deploy"), call("c2", "peek"), agent="ask", client_tools=[DEPLOY, PEEK])
        assert "no such tool" in talk.told("c1")
        assert talk.orders == [["c2"]]

    def test_is_bound_by_its_own_schema(self) -> None:
        talk = asked(call("c1", "peek", target=7), client_tools=[PEEK])
        assert "target must be of type string" in talk.told("c1")

    def test_is_gone_in_a_session_that_never_declared_it(self) -> None:
        assert "no such tool" in asked(call("c1", "peek")).told("c1")


class TestTheOrder:
    def test_of_a_write_after_a_read_of_its_path_comes_when_the_read_is_over(self) -> None:
        talk = asked(read("c1", "a.py"), write("c2", "./a.py"))
        talk.approve("c2")
        assert talk.orders == [["c1"]]
        assert talk.record("c2").state is ToolCallState.WAITING
        assert talk.paused.reasons == (WaitingFor.TOOL_RESULTS,)
        talk.results(result("c1", is_error=True))
        assert talk.orders == [["c1"], ["c2"]], "a failed read stops nothing"

    def test_of_a_read_of_what_is_written_comes_when_the_write_is_over(self) -> None:
        talk = asked(write("c1", "a.py"), read("c2", "a.py"), read("c3", "b.py"))
        assert talk.orders == [["c3"]]
        talk.approve("c1")
        assert talk.orders == [["c3"], ["c1"]]
        talk.results(result("c1", is_error=True))
        assert talk.orders == [["c3"], ["c1"], ["c2"]], "a read never counts on a write"

    def test_of_a_command_comes_after_all_writes_before_it(self) -> None:
        talk = asked(write("c1", "a.py"), write("c2", "b.py"), command("c3"), read("c4", "c.py"))
        for id_ in ("c3", "c2", "c1"):
            talk.approve(id_)
        assert talk.orders == [["c4"], ["c2"], ["c1"]]
        talk.results(result("c1"))
        assert talk.orders[3:] == []
        talk.results(result("c2"))
        assert talk.orders[3:] == [["c3"]]
        talk.results(result("c4"), result("c3"))
        assert talk.is_running

    def test_of_commands_and_others_at_once_is_one_after_the_other(self) -> None:
        rule = a_rule("execute_command", ApprovalEffect.ALLOW)
        talk = Conversation(rules=[rule])
        talk.user()
        [order] = [payload for payload in payloads(talk.model(read("c1"), command("c2"))) if _is_order(payload)]
        assert isinstance(order, ToolCallsRequested)
        assert order.execution_mode is ExecutionMode.SEQUENTIAL

    @pytest.mark.parametrize("how", ["rejected", "failed", "expired", "forbidden"])
    def test_never_comes_for_what_builds_on_a_write_that_did_not_happen(self, how: str) -> None:
        path = "../a.py" if how == "forbidden" else "a.py"
        talk = asked(write("c1", path), command("c2"), write("c3", "b.py"))
        match how:
            case "rejected":
                talk.reject("c1")
            case "failed":
                talk.approve("c1")
                talk.results(result("c1", "disk full", is_error=True))
            case "expired":
                talk.approve("c3")
                talk.results(result("c3"))
                talk.wait(300)
        assert talk.record("c2").outcome is (CallOutcome.REJECTED if how == "expired" else CallOutcome.NOT_RUN)
        assert "c2" not in [id_ for order in talk.orders for id_ in order]
        assert "c2" not in talk.pending, "nobody is asked about what can never run"
        if how != "expired":
            assert "not run" in talk.told("c2")
            assert talk.pending == ["c3"]

    def test_never_comes_for_a_second_write_of_a_path_whose_first_was_rejected(self) -> None:
        talk = asked(write("c1", "a.py"), write("c2", "a.py", "y = 2"), write("c3", "b.py"))
        change = talk.reject("c1", "no")
        assert talk.record("c2").outcome is CallOutcome.NOT_RUN
        assert talk.pending == ["c3"]
        assert [type(payload).__name__ for payload in payloads(change)] == [
            "InputAccepted",
            "ApprovalResolved",
            "ToolResultRecorded",
            "MessageAdded",
            "ApprovalResolved",
            "ToolResultRecorded",
            "MessageAdded",
            "TurnPaused",
        ]

    def test_falls_like_dominoes(self) -> None:
        talk = asked(write("c1", "a.py"), write("c2", "a.py"), write("c3", "a.py"), command("c4"))
        talk.reject("c1")
        assert talk.pending == []
        assert talk.is_running
        assert [talk.record(id_).outcome for id_ in ("c2", "c3", "c4")] == [CallOutcome.NOT_RUN] * 3


class TestARunningAnswer:
    def test_of_refused_calls_alone_never_pauses(self) -> None:
        talk = asked(call("c1", "teleport"), call("c2", "teleport"))
        assert talk.turn.state is TurnState.RUNNING
        assert not any(isinstance(payload, TurnPaused) for payload in talk.memory.log)

    def test_counts_every_call_of_the_model(self) -> None:
        talk = asked(call("c1", "teleport"), read("c2"), write("c3"))
        assert talk.turn.tool_calls == 3


def _is_order(payload: object) -> bool:
    return isinstance(payload, ToolCallsRequested)
