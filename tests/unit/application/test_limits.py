"""What one turn may use at most: calls of the model, calls of tools, and time at work."""

from __future__ import annotations

import pytest

from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import ErrorReason
from services.domain.message import Role
from services.domain.turn import TurnState
from tests.support.changes import kinds
from tests.support.conversation import Conversation, call, question, read, result, write


class TestModelCalls:
    def test_are_counted_before_they_are_made_and_never_exceeded(self) -> None:
        talk = Conversation(limits=TurnLimits(model_calls=3))
        talk.user()
        for number in range(3):
            assert talk.is_running
            talk.model(call(f"c{number}", "teleport"))
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED
        assert talk.last_turn.model_calls == 3
        assert "3 model calls" in (talk.last_turn.failure.message if talk.last_turn.failure else "")

    def test_run_out_when_a_result_comes_and_the_result_is_kept(self) -> None:
        talk = Conversation(limits=TurnLimits(model_calls=1))
        talk.user()
        talk.model(read("c1"))
        change = talk.results(result("c1", "print()"))
        assert kinds(change) == ["InputAccepted", "ToolResultRecorded", "MessageAdded", "TurnFailed"]
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED
        assert talk.told("c1") == "print()"
        assert not talk.memory.owned

    def test_begin_anew_with_the_next_turn(self) -> None:
        talk = Conversation(limits=TurnLimits(model_calls=1))
        for _ in range(3):
            talk.user()
            talk.model(text="Done.")
            assert talk.last_turn.state is TurnState.COMPLETED


class TestToolCalls:
    def test_up_to_the_limit_run(self) -> None:
        talk = Conversation(limits=TurnLimits(tool_calls=2))
        talk.user()
        talk.model(read("c1"), read("c2"))
        assert talk.orders == [["c1", "c2"]]

    def test_beyond_it_end_the_turn_with_a_result_for_each(self) -> None:
        talk = Conversation(limits=TurnLimits(tool_calls=2))
        talk.user()
        talk.model(read("c1"))
        talk.results(result("c1"))
        talk.model(read("c2"), write("c3"), question("c4"))
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED
        assert talk.orders == [["c1"]]
        assert talk.memory.approvals == {}
        assert [m.tool_call_id for m in talk.memory.messages if m.role is Role.TOOL] == ["c1", "c2", "c3", "c4"]
        assert all(talk.is_error(id_) for id_ in ("c2", "c3", "c4"))


class TestTimeAtWork:
    LIMITS = TurnLimits(running_time=60, tool_result_wait=10_000)

    def test_ends_the_turn_before_the_next_model_call(self) -> None:
        talk = Conversation(limits=self.LIMITS)
        talk.user()
        talk.memory.advance(60)
        talk.model(call("c1", "teleport"))
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED
        assert "60 s" in (talk.last_turn.failure.message if talk.last_turn.failure else "")

    def test_never_takes_an_answer_away(self) -> None:
        talk = Conversation(limits=self.LIMITS)
        talk.user()
        talk.memory.advance(1000)
        talk.model(text="At last.")
        assert talk.last_turn.state is TurnState.COMPLETED
        assert talk.last_turn.running_time == 1000

    def test_does_not_count_what_is_waited(self) -> None:
        talk = Conversation(limits=self.LIMITS)
        talk.user()
        talk.memory.advance(20)
        talk.model(read("c1"), read("c2", "b"))
        talk.memory.advance(5000)
        talk.results(result("c1"))
        talk.memory.advance(4000)
        talk.results(result("c2"))
        assert talk.turn.running_time == 20
        talk.memory.advance(30)
        talk.model(text="Done.")
        assert talk.last_turn.running_time == 50

    def test_goes_on_counting_over_several_answers(self) -> None:
        talk = Conversation(limits=self.LIMITS)
        talk.user()
        for number in range(2):
            talk.memory.advance(25)
            talk.model(call(f"c{number}", "teleport"))
        talk.memory.advance(10)
        talk.model(call("c2", "teleport"))
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED

    def test_never_runs_backwards_with_the_clock(self) -> None:
        talk = Conversation(limits=self.LIMITS)
        talk.user()
        talk.memory.advance(-3600)
        talk.model(text="Done.")
        assert talk.last_turn.running_time == 0


@pytest.mark.parametrize("limits", [TurnLimits(model_calls=1), TurnLimits(tool_calls=1), TurnLimits(running_time=1)])
def test_a_turn_that_reached_a_limit_leaves_a_session_that_works(limits: TurnLimits) -> None:
    talk = Conversation(limits=limits)
    talk.user()
    talk.memory.advance(2)
    talk.model(call("c1", "teleport"), call("c2", "teleport"))
    assert talk.failure is ErrorReason.BUDGET_EXHAUSTED
    talk.user("again")
    talk.model(text="Done.")
    assert talk.last_turn.state is TurnState.COMPLETED
