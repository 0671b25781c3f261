"""Waits that run out: without a decision the turn goes on without the call, without a result or an answer it ends."""

from __future__ import annotations

import pytest

from services.application.background.wait_expiry import WaitExpiry
from services.application.ports import DueSession
from services.application.turns.outside_steps import expire_waits
from services.application.turns.turn_limits import TurnLimits
from services.domain.approval import ApprovalState
from services.domain.errors import DatabaseUnavailableError, ErrorReason
from services.domain.message import MessageToolCall
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import HeadMove
from services.domain.session_events import ApprovalResolved, TurnFailed, TurnResumed
from services.domain.turn import TurnResumeCause, TurnState
from tests.support.catalogs import a_policy
from tests.support.changes import kinds, payloads
from tests.support.conversation import Conversation, command, done, question, read, result, write
from tests.unit.application.engine import Engine, settled

LIMITS = TurnLimits(approval_wait=300, tool_result_wait=900, followup_wait=86_400)


def asked(*calls: MessageToolCall, limits: TurnLimits = LIMITS) -> Conversation:
    talk = Conversation(limits=limits)
    talk.user()
    talk.model(*calls)
    return talk


class TestAnApprovalNobodyDecided:
    def test_ends_as_expired_and_the_turn_goes_on_without_its_call(self) -> None:
        talk = asked(write("c1"))
        change = talk.wait(300)
        assert kinds(change) == ["ApprovalResolved", "ToolResultRecorded", "MessageAdded", "TurnResumed"]
        approval = talk.approval("c1")
        assert (approval.state, approval.released, approval.automatic) == (ApprovalState.EXPIRED, False, True)
        assert (approval.decided_by, approval.feedback) == ("", "")
        assert payloads(change)[-1] == TurnResumed("coder", TurnResumeCause.EXPIRY)
        assert change.head_move is HeadMove.CLAIM
        assert talk.is_error("c1")
        assert "no refusal by a person" in talk.told("c1")
        assert talk.record("c1").outcome is CallOutcome.REJECTED
        assert talk.is_running

    def test_ends_not_a_moment_too_early(self) -> None:
        talk = asked(write("c1"))
        assert talk.wait(299.999).writes_nothing
        assert talk.pending == ["c1"]
        assert talk.wait(0.001).events

    def test_ends_exactly_once(self) -> None:
        talk = asked(write("c1"))
        talk.wait(300)
        for _ in range(3):
            assert talk.wait(0).writes_nothing
        assert [type(p) for p in talk.memory.log].count(ApprovalResolved) == 1

    def test_leaves_what_is_not_due(self) -> None:
        talk = asked(write("c1"), read("c2", "b.py"), question("c3"))
        before = talk.followup
        change = talk.wait(300)
        assert kinds(change)[-1] == "TurnPaused"
        assert talk.pending == []
        assert talk.paused.open_tool_call_ids == ("c2",)
        assert talk.followup == before
        assert talk.paused.expire_time == talk.record("c2").expire_time

    def test_takes_what_builds_on_it_along(self) -> None:
        talk = asked(write("c1"), command("c2"), read("c3", "b.py"))
        talk.approve("c2")
        talk.wait(300)
        assert talk.record("c2").outcome is CallOutcome.NOT_RUN
        assert talk.approval("c2").state is ApprovalState.APPROVED
        assert talk.orders == [["c3"]]

    def test_of_two_takes_only_the_one_that_is_due(self) -> None:
        talk = asked(write("c1", "a"), write("c2", "b"))
        talk.approve("c1")
        talk.results(result("c1"))
        assert talk.pending == ["c2"]
        talk.wait(300)
        assert talk.approval("c1").state is ApprovalState.APPROVED
        assert talk.approval("c2").state is ApprovalState.EXPIRED

    def test_waits_for_ever_where_the_operator_says_so(self) -> None:
        talk = asked(write("c1"), limits=TurnLimits(approval_wait=None))
        assert talk.wait(10**8).writes_nothing
        talk.approve("c1")
        assert talk.orders == [["c1"]]

    def test_does_not_let_a_completion_through(self) -> None:
        talk = asked(write("c1"), done("c2"))
        talk.wait(300)
        assert talk.is_running
        assert "not taken" in talk.told("c2")

    def test_ends_the_turn_when_no_model_call_is_left(self) -> None:
        talk = asked(write("c1"), limits=TurnLimits(approval_wait=300, model_calls=1))
        talk.wait(300)
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED


class TestAResultThatNeverCame:
    def test_ends_the_turn_without_another_model_call(self) -> None:
        talk = asked(read("c1"))
        change = talk.wait(900)
        assert kinds(change) == ["ToolResultRecorded", "MessageAdded", "TurnFailed"]
        failed = payloads(change)[-1]
        assert isinstance(failed, TurnFailed)
        assert (failed.reason, failed.resumable) == (ErrorReason.WAIT_EXPIRED, False)
        assert "result of a tool call" in failed.message
        assert (talk.last_turn.state, talk.last_turn.model_calls) == (TurnState.FAILED, 1)
        assert talk.is_error("c1")

    def test_settles_all_that_waited_beside_it(self) -> None:
        talk = asked(
            read("c1"), write("c2", "b"), read("c3", "b"), question("c4"), limits=TurnLimits(approval_wait=None)
        )
        talk.wait(900)
        assert talk.failure is ErrorReason.WAIT_EXPIRED
        assert talk.approval("c2").state is ApprovalState.CANCELLED
        for id_ in ("c1", "c2", "c3", "c4"):
            assert talk.record(id_).outcome is CallOutcome.NOT_RUN

    def test_when_only_one_of_two_came_keeps_the_one_that_did(self) -> None:
        talk = asked(read("c1"), read("c2", "b"))
        talk.results(result("c1", "one"))
        talk.wait(900)
        assert talk.failure is ErrorReason.WAIT_EXPIRED
        assert talk.told("c1") == "one"

    def test_leaves_a_session_that_works(self) -> None:
        talk = asked(read("c1"))
        talk.wait(900)
        talk.user("never mind")
        talk.model(text="Fine.")
        assert talk.last_turn.state is TurnState.COMPLETED

    def test_is_counted_from_the_order_not_from_the_answer(self) -> None:
        talk = asked(write("c1"))
        talk.memory.advance(200)
        talk.approve("c1")
        assert talk.wait(899).writes_nothing
        assert talk.wait(1).events


class TestAQuestionNobodyAnswered:
    def test_ends_the_turn_and_says_so(self) -> None:
        talk = asked(question("c1"))
        talk.wait(86_400)
        assert talk.failure is ErrorReason.WAIT_EXPIRED
        assert "answer to a question" in (talk.last_turn.failure.message if talk.last_turn.failure else "")
        assert talk.is_error("c1")


class TestNothing:
    def test_is_staged_for_turns_that_run_or_are_over(self) -> None:
        talk = Conversation()
        assert talk.wait(10**6).writes_nothing
        talk.user()
        assert talk.wait(10**6).writes_nothing
        talk.model(text="Done.")
        assert talk.wait(10**6).writes_nothing


def test_what_goes_on_bears_the_correlation_id_of_its_turn() -> None:
    talk = asked(write("c1"))
    talk.memory.advance(300)
    change = talk.memory.change(
        lambda change: expire_waits(change, talk.limits, talk.policy), correlation_id="wait-expiry"
    )
    assert {event.correlation_id for event in change.events} == {"corr-1"}


class DueSessions:
    """`Waits` that say what a test has them say."""

    def __init__(self, *session_ids: str) -> None:
        self.session_ids = session_ids

    async def due(self, limit: int) -> list[DueSession]:
        return [DueSession("ann", session_id) for session_id in self.session_ids[:limit]]


class TestTheOneWhoLooks:
    def a_session_that_waits(self, engine: Engine, session_id: str = "s1") -> Conversation:
        talk = Conversation(id=session_id, limits=LIMITS)
        talk.user()
        talk.model(write("c1"))
        engine.store.sessions[session_id] = talk.memory
        return talk

    async def test_runs_the_turn_that_goes_on_here(self) -> None:
        engine = Engine()
        talk = self.a_session_that_waits(engine)
        talk.memory.advance(300)
        looking = WaitExpiry(DueSessions("s1"), engine.store, engine.turns, a_policy(), LIMITS)
        assert await looking.end_due() == 1
        await settled()
        assert list(engine.runner.running) == ["s1"]
        await engine.turns.stop_all()

    async def test_is_one_of_several_and_the_wait_ends_once(self) -> None:
        engine = Engine()
        talk = self.a_session_that_waits(engine)
        talk.memory.advance(300)
        for _ in range(3):
            await WaitExpiry(DueSessions("s1"), engine.store, engine.turns, a_policy(), LIMITS).end_due()
        assert [type(p) for p in talk.memory.log].count(ApprovalResolved) == 1
        await engine.turns.stop_all()

    async def test_takes_no_harm_from_sessions_that_were_deleted_or_decided_meanwhile(self) -> None:
        engine = Engine()
        decided, due = self.a_session_that_waits(engine, "s1"), self.a_session_that_waits(engine, "s3")
        decided.approve("c1")
        due.memory.advance(300)
        assert (
            await WaitExpiry(DueSessions("s1", "s2", "s3"), engine.store, engine.turns, a_policy(), LIMITS).end_due()
            == 3
        )
        assert decided.orders == [["c1"]]
        assert due.approval("c1").state is ApprovalState.EXPIRED
        await engine.turns.stop_all()

    async def test_tries_again_when_the_database_is_back(self) -> None:
        engine = Engine()
        talk = self.a_session_that_waits(engine)
        talk.memory.advance(300)
        looking = WaitExpiry(DueSessions("s1"), engine.store, engine.turns, a_policy(), LIMITS)
        engine.store.away = True
        with pytest.raises(DatabaseUnavailableError):
            await looking.end_due()
        engine.store.away = False
        await looking.end_due()
        assert talk.approval("c1").state is ApprovalState.EXPIRED
        await engine.turns.stop_all()
