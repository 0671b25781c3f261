"""What a turn does next follows from its stored state and what just happened, and from nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.scripted_model.pairing import check_request
from services.application.turns.answer_steps import take_answer, take_model_failure
from services.application.turns.call_policy import Judgement
from services.application.turns.inputs.accepted_input import AcceptedInput, Sender
from services.application.turns.inputs.user_message import accept_user_message
from services.application.turns.outside_steps import cancel_turn, fail_internally, recover_turn
from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import (
    ErrorReason,
    SessionInactiveError,
    SessionMessageLimitError,
    TurnInProgressError,
)
from services.domain.input import Disposition, InputKind, UserMessage
from services.domain.message import MessageToolCall, Role
from services.domain.model_exchange import FinishReason, ModelAnswer, ModelError, Usage
from services.domain.session import SessionState
from services.domain.session_change import HeadMove, SessionChange
from services.domain.session_events import (
    AttemptRestarted,
    InputAccepted,
    MessageAdded,
    ToolResultRecorded,
    TurnCancelled,
    TurnCompleted,
    TurnFailed,
    UsageReported,
)
from services.domain.turn import CancelCause, Turn, TurnState, Wait, WaitingFor
from services.infrastructure.llm.chat_format import message_to_chat
from tests.support.changes import a_call, a_change, a_running_turn, a_session, kinds, payloads

LIMITS = TurnLimits()
ONE_TOKEN = Usage(prompt_tokens=1, completion_tokens=1)


def answer(
    text: str = "", *call_ids: str, finish_reason: FinishReason = FinishReason.STOP, **fields: object
) -> ModelAnswer:
    calls = tuple(MessageToolCall(call_id, "read_file", "{}") for call_id in call_ids)
    return replace(ModelAnswer(text, "", calls, finish_reason, ONE_TOKEN, "scripted"), **fields)  # type: ignore[arg-type]


def take(change: SessionChange, said: ModelAnswer, limits: TurnLimits = LIMITS) -> None:
    """The model has answered, and nobody may run any of its calls."""
    take_answer(change, said, [Judgement("you have no such tool")] * len(said.tool_calls), limits)


def accept(change: SessionChange, text: str = "hello", request_id: str = "") -> AcceptedInput:
    return accept_user_message(change, UserMessage(text), Sender(request_id, "ann"), LIMITS)


def a_step(turn: Turn, **loaded: object) -> SessionChange:
    """A step of whoever runs the turn."""
    return a_change(turn, is_step=True, **loaded)  # type: ignore[arg-type]


def turn_of(change: SessionChange) -> Turn:
    assert change.turn is not None
    return change.turn


def failure_reason(change: SessionChange) -> ErrorReason:
    turn = turn_of(change)
    assert turn.state is TurnState.FAILED
    assert turn.failure is not None
    [event] = [payload for payload in payloads(change) if isinstance(payload, TurnFailed)]
    assert event.reason is turn.failure.reason
    return turn.failure.reason


class TestAcceptingAUserMessage:
    def test_starts_a_turn_that_whoever_commits_it_owns(self) -> None:
        change = a_change()
        accepted = accept(change, request_id="r1")
        assert kinds(change) == ["InputAccepted", "MessageAdded", "TurnStarted"]
        assert change.head_move is HeadMove.CLAIM
        turn = turn_of(change)
        assert (turn.state, turn.agent, turn.correlation_id) == (TurnState.RUNNING, "universal", "corr-1")
        assert payloads(change)[0] == InputAccepted(accepted.input_id, "r1", turn.id, Disposition.STARTED)
        assert {event.turn_id for event in change.events} == {turn.id}

    def test_reserves_the_first_model_call_before_it_is_made(self) -> None:
        change = a_change()
        accept(change)
        turn = turn_of(change)
        assert turn.model_calls == 1
        assert turn.attempt is not None
        assert turn.attempt.number == 1

    def test_remembers_who_sent_it_and_the_number_it_got(self) -> None:
        change = a_change()
        accepted = accept(change, request_id="r1")
        [stored] = change.inputs.values()
        assert (stored.id, stored.turn_id) == (accepted.input_id, accepted.turn_id)
        assert stored.accepted_sequence == accepted.sequence == 11
        assert (stored.principal, stored.kind, stored.request_id) == ("ann", InputKind.USER_MESSAGE, "r1")

    def test_puts_the_message_into_the_history_of_its_turn(self) -> None:
        change = a_change(session=a_session(last_ordinal=4, message_count=2))
        accept(change)
        [message] = change.messages
        assert (message.role, message.content, message.ordinal) == (Role.USER, "hello", 5)
        assert message.turn_id == turn_of(change).id
        assert change.session.title == "hello"

    @pytest.mark.parametrize("state", [TurnState.RUNNING, TurnState.PAUSED])
    def test_is_refused_while_a_turn_is_active_and_says_which(self, state: TurnState) -> None:
        waiting = (WaitingFor.TOOL_RESULTS, WaitingFor.APPROVAL) if state is TurnState.PAUSED else ()
        change = a_change(a_running_turn(state=state, wait=Wait(waiting) if waiting else None))
        with pytest.raises(TurnInProgressError) as caught:
            accept(change)
        assert caught.value.metadata == {
            "turn_id": "turn_1",
            "turn_state": state,
            "waiting_for": ",".join(waiting),
        }
        assert change.events == []

    def test_is_refused_by_an_inactive_or_full_session(self) -> None:
        for session, error in [
            (a_session(state=SessionState.INACTIVE), SessionInactiveError),
            (a_session(message_count=3, message_limit=3), SessionMessageLimitError),
        ]:
            change = a_change(session=session)
            with pytest.raises(error):
                accept(change)
            assert (change.events, change.messages, change.turn) == ([], [], None)


class TestTheModelsAnswer:
    def test_completes_the_turn_and_leaves_the_session_without_an_owner(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("Hello!"))
        assert kinds(change) == ["MessageAdded", "UsageReported", "TurnCompleted"]
        turn = turn_of(change)
        assert (turn.state, turn.result_text, turn.final_message_id) == (TurnState.COMPLETED, "Hello!", "msg_1")
        assert (turn.attempt, turn.end_time) == (None, change.now)
        assert change.head_move is HeadMove.RELEASE

    def test_becomes_the_message_whose_deltas_were_streamed(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("Hello!", reasoning="hmm"))
        [message] = change.messages
        assert (message.id, message.content, message.reasoning, message.complete) == ("msg_1", "Hello!", "hmm", True)
        assert (message.role, message.agent, message.turn_id) == (Role.ASSISTANT, "universal", "turn_1")

    def test_adds_its_cost_to_the_turns(self) -> None:
        change = a_step(a_running_turn(usage=Usage(10, 20)))
        take(change, answer("Hello!"))
        assert turn_of(change).usage == Usage(11, 21)
        assert UsageReported(ONE_TOKEN, "scripted") in payloads(change)
        completed = payloads(change)[-1]
        assert isinstance(completed, TurnCompleted)
        assert completed.usage == Usage(11, 21)

    @pytest.mark.parametrize("text", ["", "  \n"])
    def test_that_says_nothing_fails_the_turn_resumably_and_is_still_paid_for(self, text: str) -> None:
        change = a_step(a_running_turn())
        take(change, answer(text))
        assert kinds(change) == ["UsageReported", "TurnFailed"]
        assert failure_reason(change) is ErrorReason.LLM_BAD_RESPONSE
        assert turn_of(change).usage == ONE_TOKEN
        assert change.messages == []

    def test_that_was_filtered_fails_the_turn_and_keeps_what_was_shown_as_incomplete(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("I was ab", finish_reason=FinishReason.CONTENT_FILTER))
        assert failure_reason(change) is ErrorReason.CONTENT_FILTERED
        assert [message.complete for message in change.messages] == [False]

    def test_that_was_cut_for_length_is_an_answer(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("very lo", finish_reason=FinishReason.LENGTH))
        assert turn_of(change).finish_reason is FinishReason.LENGTH

    def test_marks_a_refusal(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("I'd rather not", refusal=True))
        assert change.messages[0].metadata == {"refusal": "true"}

    def test_needs_a_running_turn(self) -> None:
        for turn in (None, a_running_turn(state=TurnState.PAUSED)):
            with pytest.raises(AssertionError):
                take(a_change(turn), answer("Hello!"))


class TestToolCalls:
    def test_nobody_can_run_are_answered_with_errors_and_the_model_is_asked_again(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("Let me see", "c1", "c2"))
        assert [m.role for m in change.messages] == [Role.ASSISTANT, Role.TOOL, Role.TOOL]
        assert [m.tool_call_id for m in change.messages[1:]] == ["c1", "c2"]
        assert all(m.is_error for m in change.messages[1:])
        turn = turn_of(change)
        assert (turn.state, turn.model_calls, turn.tool_calls) == (TurnState.RUNNING, 2, 2)
        assert turn.attempt is not None
        assert turn.attempt.number == 1
        assert turn.attempt.message_id != "msg_1"
        assert change.head_move is HeadMove.KEEP

    def test_are_recorded_in_their_order_before_their_results(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("", "c1", "c2"))
        assert kinds(change) == ["MessageAdded", "UsageReported", *["ToolResultRecorded", "MessageAdded"] * 2]
        assert [(call.id, call.position) for call in change.batch] == [("c1", 0), ("c2", 1)]
        recorded = [p.tool_call_id for p in payloads(change) if isinstance(p, ToolResultRecorded)]
        assert recorded == ["c1", "c2"]

    def test_beyond_the_cap_of_model_calls_end_the_turn_with_a_whole_history(self) -> None:
        change = a_step(a_running_turn(model_calls=3))
        take(change, answer("", "c1"), TurnLimits(model_calls=3))
        assert failure_reason(change) is ErrorReason.BUDGET_EXHAUSTED
        assert [m.role for m in change.messages] == [Role.ASSISTANT, Role.TOOL]
        assert turn_of(change).model_calls == 3

    def test_of_a_filtered_answer_are_settled_too(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("", "c1", finish_reason=FinishReason.CONTENT_FILTER))
        assert failure_reason(change) is ErrorReason.CONTENT_FILTERED
        assert [m.role for m in change.messages] == [Role.ASSISTANT, Role.TOOL]

    @settings(deadline=None)
    @given(
        ids=st.lists(
            st.sampled_from(
                ["", "c1", "c2", "taken", "x" * 129, "x" * 128, *(f"call_turn_1_1_1_{n}" for n in range(4))]
            ),
            min_size=1,
            max_size=6,
        ),
        names=st.lists(st.text(max_size=80), min_size=6, max_size=6),
    )
    def test_enter_the_history_with_ids_and_names_that_a_provider_takes_back(
        self, ids: list[str], names: list[str]
    ) -> None:
        change = a_step(a_running_turn(), known_calls={"taken": a_call("taken")})
        calls = tuple(MessageToolCall(call_id, name, '{"a": 1') for call_id, name in zip(ids, names, strict=False))
        take(change, replace(answer("text"), tool_calls=calls))
        check_request({"model": "m", "messages": [message_to_chat(message) for message in change.messages]})
        used = [call.id for call in change.messages[0].tool_calls]
        assert "taken" not in used
        assert all(len(call_id) <= 128 for call_id in used), "longer than the database's column"
        assert [call.arguments_json for call in change.messages[0].tool_calls] == ['{"a": 1'] * len(ids)

    def test_keep_the_models_own_ids_where_they_can(self) -> None:
        change = a_step(a_running_turn())
        take(change, answer("", "c1", "c1", "c2"))
        first, second, third = (call.id for call in change.messages[0].tool_calls)
        assert (first, third) == ("c1", "c2")
        assert second not in ("c1", "c2")


class TestAFailureOfTheModel:
    @pytest.mark.parametrize("retryable", [True, False])
    def test_fails_the_turn_and_keeps_what_was_shown_as_incomplete(self, retryable: bool) -> None:
        change = a_step(a_running_turn())
        error = ModelError("the model is away", retryable=retryable, retry_after=7.0)
        take_model_failure(change, error, "I was about to")
        assert kinds(change) == ["MessageAdded", "TurnFailed"]
        assert payloads(change)[-1] == TurnFailed(ErrorReason.LLM_UNAVAILABLE, "the model is away", 7.0, retryable)
        [message] = change.messages
        assert (message.id, message.content, message.complete) == ("msg_1", "I was about to", False)
        assert change.head_move is HeadMove.RELEASE

    @pytest.mark.parametrize("nothing", ["", " \n"])
    def test_before_the_first_word_leaves_no_message(self, nothing: str) -> None:
        change = a_step(a_running_turn())
        take_model_failure(change, ModelError("no", retryable=True), nothing)
        assert kinds(change) == ["TurnFailed"]


class TestAFaultOfOurs:
    def test_ends_the_turn_with_a_fixed_text_and_locks_its_process_out(self) -> None:
        change = a_change(a_running_turn(), draft_text="so far")
        fail_internally(change)
        assert failure_reason(change) is ErrorReason.INTERNAL
        failure = turn_of(change).failure
        assert failure is not None
        assert (failure.message, failure.resumable) == ("internal error", True)
        assert [message.content for message in change.messages] == ["so far"]
        assert change.head_move is HeadMove.FENCE


class TestCancelling:
    def test_keeps_the_text_so_far_and_locks_the_running_process_out(self) -> None:
        change = a_change(a_running_turn(), draft_text="so far")
        cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann")
        assert kinds(change) == ["MessageAdded", "TurnCancelled"]
        assert payloads(change)[-1] == TurnCancelled(CancelCause.USER, "ann")
        assert [(message.id, message.complete) for message in change.messages] == [("msg_1", False)]
        turn = turn_of(change)
        assert (turn.state, turn.attempt, turn.cancelled_by) == (TurnState.CANCELLED, None, "ann")
        assert change.head_move is HeadMove.FENCE

    def test_leaves_no_blank_message(self) -> None:
        change = a_change(a_running_turn(), draft_text=" ")
        cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann")
        assert change.messages == []

    @pytest.mark.parametrize("turn", [None, a_running_turn(state=TurnState.COMPLETED)])
    def test_is_for_active_turns(self, turn: Turn | None) -> None:
        with pytest.raises(AssertionError):
            cancel_turn(a_change(turn), cause=CancelCause.USER, cancelled_by="ann")


class TestRecovering:
    def test_announces_that_the_unfinished_answer_is_void_and_asks_again(self) -> None:
        change = a_change(a_running_turn(), orphaned=True)
        recover_turn(change)
        [restarted] = payloads(change)
        assert isinstance(restarted, AttemptRestarted)
        assert (restarted.discarded_message_id, restarted.attempt) == ("msg_1", 2)
        turn = turn_of(change)
        assert turn.attempt is not None
        assert (turn.attempt.number, turn.state) == (2, TurnState.RUNNING)
        assert turn.attempt.message_id != "msg_1"
        assert change.head_move is HeadMove.CLAIM

    def test_goes_on_under_the_correlation_id_of_the_turn(self) -> None:
        change = a_change(a_running_turn(correlation_id="the-client's"), orphaned=True)
        recover_turn(change)
        assert [event.correlation_id for event in change.events] == ["the-client's"]

    def test_takes_nothing_from_a_living_owner(self) -> None:
        change = a_change(a_running_turn(), orphaned=False)
        recover_turn(change)
        assert (change.events, change.head_move) == ([], HeadMove.KEEP)

    def test_takes_ones_own_turn_that_runs_nowhere(self) -> None:
        change = a_change(a_running_turn(), orphaned=False)
        recover_turn(change, unattended=True)
        assert change.head_move is HeadMove.CLAIM

    @pytest.mark.parametrize(
        "turn", [None, a_running_turn(state=TurnState.PAUSED), a_running_turn(state=TurnState.FAILED)]
    )
    def test_leaves_alone_what_does_not_run(self, turn: Turn | None) -> None:
        change = a_change(turn, orphaned=True)
        recover_turn(change, unattended=True)
        assert (change.events, change.head_move) == ([], HeadMove.KEEP)


def test_whatever_ends_a_turn_ends_it_with_exactly_one_terminal_event() -> None:
    for end in (
        lambda change: take(change, answer("done")),
        lambda change: take(change, answer("")),
        lambda change: take(change, answer("", "c1"), TurnLimits(model_calls=1)),
        lambda change: take(change, answer("x", finish_reason=FinishReason.CONTENT_FILTER)),
        lambda change: take_model_failure(change, ModelError("no", retryable=True), "part"),
        fail_internally,
        lambda change: cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann"),
    ):
        change = a_change(a_running_turn())
        end(change)
        terminal = [p for p in payloads(change) if isinstance(p, TurnCompleted | TurnFailed | TurnCancelled)]
        assert len(terminal) == 1
        assert payloads(change)[-1] is terminal[0]
        assert not turn_of(change).state.is_active
        assert turn_of(change).end_time == change.now
        assert [m.id for m in change.messages] == [
            p.message.id for p in payloads(change) if isinstance(p, MessageAdded)
        ]
