"""What an approval is bound to, what may end it, and what the ledger keeps of it (G6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.application.turns.turn_limits import TurnLimits
from services.domain.approval import ApprovalState, Decision, Remember
from services.domain.audit import AuditAction
from services.domain.errors import ApprovalOverdueError, ArgumentsHashMismatchError, InvalidArgumentError
from services.domain.policies.approval_rules import ApprovalEffect, ApprovalRule, RuleOrigin, RuleScope
from tests.support.conversation import Conversation, command, handover, read, write

RELEASING = TurnLimits(release_expired=True)
UNRELATED = ApprovalRule("elsewhere", "move_file", ApprovalEffect.ASK, RuleScope.GLOBAL, RuleOrigin.CONFIG)
ASKING_ABOUT_MODES = ApprovalRule("modes", "switch_mode", ApprovalEffect.ASK, RuleScope.OWNER, RuleOrigin.RPC)


def no_writing(origin: RuleOrigin = RuleOrigin.RPC) -> ApprovalRule:
    return ApprovalRule("no-writing", "write_file", ApprovalEffect.DENY, RuleScope.OWNER, origin, description="no")


def writing(*rules: ApprovalRule, limits: TurnLimits | None = None) -> Conversation:
    talk = Conversation(rules=rules, limits=limits)
    talk.user()
    talk.model(write("c1", "a.md", "one"))
    return talk


class TestTheHash:
    def test_is_another_one_under_other_rules(self) -> None:
        one, same, other = writing(), writing(), writing(UNRELATED)
        assert one.approval("c1").arguments_hash == same.approval("c1").arguments_hash
        assert one.approval("c1").arguments_hash != other.approval("c1").arguments_hash
        assert one.approval("c1").policy_version != other.approval("c1").policy_version

    def test_stays_good_when_rules_come_that_do_not_deny(self) -> None:
        talk = writing()
        talk.memory.rules.append(UNRELATED)
        talk.approve("c1")
        assert talk.orders == [["c1"]]

    @pytest.mark.parametrize("decision", [Decision.APPROVE, Decision.REJECT])
    def test_must_be_that_of_the_call_as_it_is(self, decision: Decision) -> None:
        """Whatever may have changed the record of a call, nothing else runs than what was shown."""
        talk = writing()
        talk.memory.calls["c1"] = replace(talk.record("c1"), arguments_json='{"path": "b.md", "content": "two"}')
        with pytest.raises(ArgumentsHashMismatchError):
            talk.decide("c1", decision)
        assert talk.pending == ["c1"]


class TestADenyThatCameSince:
    def test_keeps_the_call_from_being_approved_and_not_from_being_rejected(self) -> None:
        talk = writing()
        talk.memory.rules.append(no_writing())
        with pytest.raises(InvalidArgumentError, match="no"):
            talk.approve("c1")
        assert talk.pending == ["c1"]
        talk.reject("c1")
        assert talk.pending == []

    def test_of_the_operator_counts_after_a_restart(self) -> None:
        talk = writing()
        talk.policy = Conversation(rules=[no_writing(RuleOrigin.CONFIG)]).policy
        with pytest.raises(InvalidArgumentError):
            talk.approve("c1")

    def test_keeps_it_from_being_released_by_time(self) -> None:
        talk = writing(limits=RELEASING)
        talk.memory.rules.append(no_writing())
        talk.wait(300)
        assert not talk.approval("c1").released
        assert talk.orders == []


class TestTime:
    def test_that_has_run_out_is_no_time_to_decide_even_if_nobody_looked(self) -> None:
        talk = writing()
        talk.memory.advance(300)
        for decision in (Decision.APPROVE, Decision.REJECT):
            with pytest.raises(ApprovalOverdueError):
                talk.decide("c1", decision)
        talk.wait(0)
        assert talk.approval("c1").state is ApprovalState.EXPIRED

    def test_is_left_until_then(self) -> None:
        talk = writing()
        talk.memory.advance(299.9)
        talk.approve("c1")
        assert talk.orders == [["c1"]]

    def test_releases_what_the_operator_wants_released(self) -> None:
        talk = writing(limits=RELEASING)
        talk.wait(300)
        approval = talk.approval("c1")
        assert (approval.state, approval.released, approval.automatic) == (ApprovalState.EXPIRED, True, True)
        assert talk.orders == [["c1"]]
        assert not talk.wait(10**3).events or talk.orders == [["c1"]]

    def test_never_releases_what_always_asks(self) -> None:
        talk = Conversation(limits=RELEASING)
        talk.user()
        talk.model(command("c1", "ls"))
        talk.wait(300)
        assert not talk.approval("c1").released
        assert talk.orders == []

    def test_never_releases_a_call_that_is_not_the_one_that_was_shown(self) -> None:
        talk = writing(limits=RELEASING)
        talk.memory.calls["c1"] = replace(talk.record("c1"), arguments_json='{"path": "b.md", "content": ""}')
        talk.wait(300)
        assert talk.orders == []

    def test_releases_a_hand_over_as_well(self) -> None:
        talk = Conversation(limits=RELEASING)
        talk.memory.rules.append(ASKING_ABOUT_MODES)
        talk.user()
        talk.model(handover("c1", "debug"))
        talk.wait(300)
        assert talk.memory.context.current_agent == "debug"


class TestRemembering:
    def test_makes_a_rule_that_decides_from_then_on(self) -> None:
        talk = writing()
        talk.decide("c1", Decision.APPROVE, remember=Remember.SESSION, principal="bea")
        [rule] = talk.memory.rules
        assert (rule.tool, rule.effect, rule.scope) == ("write_file", ApprovalEffect.ALLOW, RuleScope.SESSION)
        assert (rule.origin, rule.session_id, rule.created_by) == (RuleOrigin.REMEMBERED, "s1", "bea")
        decided, created = talk.memory.audit
        assert (decided.action, decided.actor) == (AuditAction.APPROVAL_DECIDE, "bea")
        assert (created.action, created.target_id) == (AuditAction.RULE_CREATE, rule.id)

    def test_cannot_outweigh_a_rule_that_asks(self) -> None:
        talk = Conversation(rules=[replace(UNRELATED, tool="read_file")])
        talk.user()
        talk.model(read("c1"))
        assert not talk.approval("c1").can_remember
        with pytest.raises(InvalidArgumentError, match="remember"):
            talk.decide("c1", Decision.APPROVE, remember=Remember.SESSION)
        assert talk.pending == ["c1"]
