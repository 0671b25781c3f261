"""An agent declares its task done: that ends the turn, once everything it asked for beside has gone well."""

from __future__ import annotations

import pytest

from services.domain.message import MessageToolCall
from services.domain.model_exchange import FinishReason
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import HeadMove
from services.domain.session_events import TurnCompleted
from services.domain.turn import TurnState
from tests.support.changes import kinds, payloads
from tests.support.conversation import (
    ONE_TOKEN,
    Conversation,
    call,
    command,
    done,
    handover,
    read,
    result,
    write,
)


def asked(*calls: MessageToolCall) -> Conversation:
    talk = Conversation()
    talk.user()
    talk.model(*calls)
    return talk


def test_declared_alone_ends_the_turn_with_its_result() -> None:
    talk = Conversation()
    talk.user()
    change = talk.model(done("c1", "It works now."), text="So:")
    assert kinds(change) == ["MessageAdded", "UsageReported", "ToolResultRecorded", "MessageAdded", "TurnCompleted"]
    turn = talk.last_turn
    assert (turn.state, turn.result_text) == (TurnState.COMPLETED, "It works now.")
    assert turn.finish_reason is FinishReason.ATTEMPT_COMPLETION
    assert payloads(change)[-1] == TurnCompleted(
        FinishReason.ATTEMPT_COMPLETION, "It works now.", turn.final_message_id, ONE_TOKEN
    )
    assert turn.final_message_id == next(m.id for m in talk.memory.messages if m.tool_calls)
    assert change.head_move is HeadMove.RELEASE
    assert not talk.is_error("c1")
    talk.user("and now?")
    assert talk.is_running


def test_declared_beside_other_calls_waits_for_them() -> None:
    talk = asked(read("c1"), write("c2", "b.py"), done("c3"))
    assert talk.orders == [["c1"]]
    talk.results(result("c1"))
    talk.approve("c2")
    assert talk.turn.state is TurnState.PAUSED
    talk.results(result("c2"))
    assert talk.last_turn.state is TurnState.COMPLETED
    assert talk.last_turn.model_calls == 1


def test_declared_before_other_calls_waits_for_them_too() -> None:
    talk = asked(done("c1"), read("c2"))
    assert talk.orders == [["c2"]]
    talk.results(result("c2"))
    assert talk.last_turn.state is TurnState.COMPLETED


@pytest.mark.parametrize("how", ["failed", "rejected", "refused", "expired", "not run"])
def test_declared_beside_a_call_that_did_not_go_well_is_not_taken(how: str) -> None:
    talk = asked(write("c1", "../x" if how == "refused" else "a.py"), command("c2"), done("c3"))
    match how:
        case "failed":
            talk.approve("c1")
            talk.results(result("c1", is_error=True))
        case "rejected":
            talk.reject("c1")
        case "expired":
            talk.wait(300)
        case "not run":
            talk.approve("c1")
            talk.results(result("c1"))
            talk.approve("c2")
            talk.results(result("c2", is_error=True))
    assert talk.is_running
    assert "not taken" in talk.told("c3")
    assert talk.is_error("c3")
    assert talk.turn.model_calls == 2


def test_declared_beside_a_hand_over_ends_the_turn_and_the_session_has_the_other_agent() -> None:
    talk = asked(handover("c1", "ask"), done("c2"))
    assert talk.last_turn.state is TurnState.COMPLETED
    assert talk.memory.context.current_agent == "ask"


def test_declared_twice_is_not_taken_and_each_call_has_its_result() -> None:
    talk = asked(done("c1"), done("c2"))
    assert talk.is_running
    assert [talk.record(id_).outcome for id_ in ("c1", "c2")] == [CallOutcome.NOT_RUN] * 2


def test_declared_without_a_result_is_refused_like_any_call() -> None:
    talk = asked(call("c1", "attempt_completion"))
    assert "result is required" in talk.told("c1")
    assert talk.is_running


def test_that_the_client_never_sees_as_something_to_run() -> None:
    talk = asked(read("c1"), done("c2"))
    assert talk.orders == [["c1"]]
    assert talk.paused.open_tool_call_ids == ("c1",)


def test_cancelled_meanwhile_is_settled_with_the_rest() -> None:
    talk = asked(read("c1"), done("c2"))
    talk.cancel()
    assert talk.last_turn.state is TurnState.CANCELLED
    assert "cancelled" in talk.told("c2")
