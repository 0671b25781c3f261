"""A person decides about a call, exactly once, about exactly what was shown (G6)."""

from __future__ import annotations

import json

import pytest

from services.domain.approval import ApprovalState, Decision
from services.domain.errors import (
    ApprovalNotFoundError,
    ApprovalResolvedError,
    ArgumentsHashMismatchError,
    InvalidArgumentError,
)
from services.domain.input import ApprovalDecision, InputKind
from services.domain.policies.approval_rules import (
    ApprovalEffect,
    ApprovalRule,
    Condition,
    ConditionOperator,
    RuleOrigin,
    RuleScope,
)
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import HeadMove
from services.domain.session_events import ApprovalResolved, RequestedToolCall, ToolCallsRequested
from tests.support.changes import kinds, payloads
from tests.support.conversation import Conversation, command, question, read, result, write

NO_REMOVING = ApprovalRule(
    "no-rm",
    "execute_command",
    ApprovalEffect.DENY,
    RuleScope.GLOBAL,
    RuleOrigin.CONFIG,
    (Condition("command", ConditionOperator.CONTAINS, "rm"),),
)


def writing(agent: str = "coder", path: str = "a.md") -> Conversation:
    """A write waits for a person."""
    talk = Conversation(agent=agent)
    talk.user()
    talk.model(write("c1", path, "one"))
    return talk


def resolved(change: object) -> ApprovalResolved:
    [event] = [payload for payload in payloads(change) if isinstance(payload, ApprovalResolved)]  # type: ignore[arg-type]
    return event


class TestApproving:
    def test_orders_the_call_as_it_was_shown(self) -> None:
        talk = writing()
        change = talk.approve("c1")
        assert kinds(change) == ["InputAccepted", "ApprovalResolved", "ToolCallsRequested", "TurnPaused"]
        [order] = [payload for payload in payloads(change) if isinstance(payload, ToolCallsRequested)]
        shown = talk.approval("c1").arguments_json
        assert order.calls == (RequestedToolCall("c1", "write_file", shown, arguments_edited=False),)
        assert (order.batch_id, change.head_move) == (talk.record("c1").batch_id, HeadMove.KEEP)
        talk.results(result("c1"))
        assert (talk.told("c1"), talk.is_running) == ("fine", True)

    def test_records_who_decided_what_and_when(self) -> None:
        talk = writing()
        talk.memory.advance(7)
        change = talk.decide("c1", Decision.APPROVE, principal="bob")
        approval = talk.approval("c1")
        assert (approval.state, approval.released, approval.decided_by) == (ApprovalState.APPROVED, True, "bob")
        assert (approval.automatic, approval.resolve_time) == (False, talk.memory.now)
        event = resolved(change)
        assert (event.outcome, event.released, event.decided_by) == (ApprovalState.APPROVED, True, "bob")
        assert (event.approval_id, event.tool_call_id, event.automatic) == (approval.id, "c1", False)
        [stored] = change.inputs.values()
        assert stored.kind is InputKind.APPROVAL_DECISION
        assert (approval.input_id, approval.accepted_sequence) == (stored.id, stored.accepted_sequence)

    def test_with_a_word_passes_it_on_to_the_model(self) -> None:
        talk = writing()
        talk.approve("c1", feedback="  this once  ")
        talk.results(result("c1", "written"))
        assert talk.told("c1") == "[The person who approved it said: this once]\nwritten"

    def test_one_of_two_releases_that_one(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(write("c1", "a"), write("c2", "b"))
        talk.approve("c2")
        assert (talk.orders, talk.pending) == ([["c2"]], ["c1"])
        talk.results(result("c2"))
        talk.approve("c1")
        talk.results(result("c1"))
        assert talk.is_running
        assert talk.turn.model_calls == 2


class TestEditing:
    def test_runs_the_call_with_the_edited_arguments(self) -> None:
        talk = writing()
        shown = talk.approval("c1").arguments_json
        change = talk.edit("c1", path="b.md", content="two")
        edited = json.dumps({"path": "b.md", "content": "two"})
        [order] = [payload for payload in payloads(change) if isinstance(payload, ToolCallsRequested)]
        assert order.calls == (RequestedToolCall("c1", "write_file", edited, arguments_edited=True),)
        record = talk.record("c1")
        assert (record.arguments_json, record.original_arguments_json) == (edited, shown)
        approval = talk.approval("c1")
        assert (approval.state, approval.released) == (ApprovalState.APPROVED_WITH_EDITS, True)
        assert (approval.edited_arguments_json, approval.arguments_json) == (edited, shown)

    def test_leaves_the_message_as_the_model_wrote_it_and_tells_the_model(self) -> None:
        talk = writing()
        talk.edit("c1", path="b.md", content="two")
        talk.results(result("c1", "written"))
        asked = next(message for message in talk.memory.messages if message.tool_calls)
        assert json.loads(asked.tool_calls[0].arguments_json) == {"path": "a.md", "content": "one"}
        assert talk.told("c1") == "[A person edited the arguments of this call before it ran.]\nwritten"

    def test_tells_the_model_what_the_person_said_too(self) -> None:
        talk = writing()
        talk.decide("c1", Decision.APPROVE_WITH_EDITS, edits='{"path": "b.md", "content": ""}', feedback="shorter")
        talk.results(result("c1", "written"))
        assert talk.told("c1").splitlines() == [
            "[A person edited the arguments of this call before it ran.]",
            "[The person who approved it said: shorter]",
            "written",
        ]

    def test_moves_the_call_to_where_its_new_arguments_belong(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(read("c1", "a.py"), write("c2", "a.py"))
        talk.edit("c2", path="b.py", content="")
        assert talk.orders == [["c1"], ["c2"]], "it no longer disturbs the read"

    @pytest.mark.parametrize(
        ("agent", "edits", "said"),
        [
            ("coder", "{", "JSON"),
            ("coder", "[]", "object"),
            ("coder", '{"path": "b.md"}', "content is required"),
            ("coder", '{"path": 1, "content": ""}', "of type string"),
            ("coder", '{"path": "../b.md", "content": ""}', "leaves the workspace"),
            ("coder", '{"path": "a", "path": "b", "content": ""}', "twice"),
            ("architect", '{"path": "b.py", "content": ""}', "*.md"),
            ("architect", '{"path": "a.md/../b.py", "content": ""}', "*.md"),
        ],
    )
    def test_passes_schema_file_rules_and_policy_again(self, agent: str, edits: str, said: str) -> None:
        talk = writing(agent)
        with pytest.raises(InvalidArgumentError) as caught:
            talk.decide("c1", Decision.APPROVE_WITH_EDITS, edits=edits)
        [violation] = caught.value.violations
        assert violation.field == "approval_decision.edited_arguments_json"
        assert said in violation.description
        assert (talk.pending, talk.orders) == (["c1"], []), "it can still be decided"
        talk.approve("c1")
        assert talk.orders == [["c1"]]

    def test_into_what_a_rule_forbids_is_refused(self) -> None:
        talk = Conversation(rules=[NO_REMOVING])
        talk.user()
        talk.model(command("c1", "ls"))
        with pytest.raises(InvalidArgumentError):
            talk.edit("c1", command="rm -rf .")
        assert talk.orders == []

    def test_counts_by_the_rights_of_the_agent_that_made_the_call(self) -> None:
        talk = writing("architect")
        talk.switch("coder")
        with pytest.raises(InvalidArgumentError):
            talk.edit("c1", path="b.py", content="")

    def test_of_a_call_whose_agent_is_gone_is_refused(self) -> None:
        talk = writing("architect")
        del talk.agents.agents["architect"]
        with pytest.raises(InvalidArgumentError) as caught:
            talk.edit("c1", path="b.md", content="")
        assert "no longer defined" in caught.value.message


class TestRejecting:
    def test_ends_the_call_with_the_persons_words_and_the_model_goes_on(self) -> None:
        talk = writing()
        change = talk.reject("c1", "use b.md")
        assert kinds(change) == [
            "InputAccepted",
            "ApprovalResolved",
            "ToolResultRecorded",
            "MessageAdded",
            "TurnResumed",
        ]
        assert resolved(change).released is False
        assert talk.approval("c1").state is ApprovalState.REJECTED
        assert talk.approval("c1").feedback == "use b.md"
        assert talk.told("c1") == "A person rejected this call; it did not run. They said: use b.md"
        assert (talk.is_error("c1"), talk.record("c1").outcome) == (True, CallOutcome.REJECTED)
        assert (talk.orders, talk.is_running) == ([], True)

    def test_without_a_reason_says_that_there_was_none(self) -> None:
        talk = writing()
        talk.reject("c1", "  ")
        assert talk.told("c1") == "A person rejected this call; it did not run. They gave no reason."

    def test_while_a_question_is_open_leaves_the_question_open(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(write("c1"), question("c2"))
        asked = talk.followup
        talk.reject("c1")
        assert talk.followup == asked
        talk.answer("green")
        assert talk.is_running


class TestTheSecondDecision:
    @pytest.mark.parametrize("decision", list(Decision))
    def test_that_says_the_same_writes_nothing_and_is_the_same_input(self, decision: Decision) -> None:
        talk = writing()
        edits = '{"path": "b.md", "content": ""}' if decision is Decision.APPROVE_WITH_EDITS else ""
        talk.decide("c1", decision, edits=edits, feedback="because")
        first = talk.accepted
        change = talk.decide("c1", decision, edits=edits, feedback="because", principal="bob")
        assert change.writes_nothing
        assert not change.approvals
        assert talk.accepted == first
        assert talk.approval("c1").decided_by == "ann"

    def test_that_says_the_same_is_known_long_after(self) -> None:
        talk = writing()
        talk.reject("c1")
        first = talk.accepted
        talk.model(text="Fine.")
        talk.user("next")
        assert talk.reject("c1").writes_nothing
        assert talk.accepted == first

    @pytest.mark.parametrize(
        ("decision", "edits", "feedback"),
        [
            (Decision.REJECT, "", ""),
            (Decision.APPROVE, "", "but carefully"),
            (Decision.APPROVE_WITH_EDITS, '{"path": "b.md", "content": ""}', ""),
        ],
    )
    def test_that_says_anything_else_comes_too_late(self, decision: Decision, edits: str, feedback: str) -> None:
        talk = writing()
        talk.approve("c1")
        with pytest.raises(ApprovalResolvedError) as caught:
            talk.decide("c1", decision, edits=edits, feedback=feedback)
        assert caught.value.metadata == {"outcome": "APPROVED"}
        assert talk.orders == [["c1"]]

    def test_with_other_edits_comes_too_late(self) -> None:
        talk = writing()
        talk.edit("c1", path="b.md", content="")
        with pytest.raises(ApprovalResolvedError):
            talk.edit("c1", path="c.md", content="")

    def test_about_something_else_is_no_repeat(self) -> None:
        talk = writing()
        talk.approve("c1")
        approval = talk.approval("c1")
        with pytest.raises(ApprovalResolvedError):
            talk.send(ApprovalDecision(approval.id, "0" * 64, Decision.APPROVE))

    @pytest.mark.parametrize(
        ("end", "outcome"),
        [("expiry", "EXPIRED"), ("cancel", "CANCELLED"), ("fault", "CANCELLED"), ("another write", "CANCELLED")],
    )
    def test_after_the_approval_has_ended_otherwise_is_refused(self, end: str, outcome: str) -> None:
        talk = Conversation()
        talk.user()
        talk.model(write("c0"), write("c1"))
        match end:
            case "expiry":
                talk.wait(300)
            case "cancel":
                talk.cancel()
            case "fault":
                talk.fault()
            case "another write":
                talk.reject("c0")
        for decision in (Decision.APPROVE, Decision.REJECT):
            with pytest.raises(ApprovalResolvedError) as caught:
                talk.decide("c1", decision)
            assert caught.value.metadata == {"outcome": outcome}
        assert talk.orders == []


class TestADecision:
    @pytest.mark.parametrize("shown", ["", "0" * 64, "щ"])
    def test_about_other_arguments_than_those_shown_is_refused(self, shown: str) -> None:
        talk = writing()
        with pytest.raises(ArgumentsHashMismatchError):
            talk.send(ApprovalDecision(talk.approval("c1").id, shown, Decision.APPROVE))
        assert (talk.pending, talk.orders) == (["c1"], [])

    def test_about_no_approval_of_this_session_is_not_found(self) -> None:
        talk = writing()
        with pytest.raises(ApprovalNotFoundError):
            talk.send(ApprovalDecision("approval_0", "0" * 64, Decision.APPROVE))

    def test_binds_tool_session_call_and_arguments(self) -> None:
        hashes = {talk.approval("c1").arguments_hash for talk in (writing(), writing(path="b.md"))}
        other = Conversation(id="s2")
        other.user()
        other.model(write("c1", "a.md", "one"), write("c2", "a.md", "one"))
        hashes |= {other.approval(id_).arguments_hash for id_ in ("c1", "c2")}
        assert len(hashes) == 4
        assert writing().approval("c1").arguments_hash in hashes, "and nothing that changes by itself"
