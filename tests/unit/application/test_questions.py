"""An agent asks the user: one question at a time, answered by an option, in own words, or by the next message."""

from __future__ import annotations

import pytest

from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import InvalidArgumentError, TurnInProgressError, TurnNotActiveError
from services.domain.input import Disposition, FollowupAnswer, InputKind
from services.domain.message import Role
from services.domain.session_events import FollowupAsked, InputAccepted, TurnResumed
from services.domain.turn import FollowupOption, TurnResumeCause, WaitingFor
from tests.support.changes import DATABASE_NOW, kinds, payloads
from tests.support.conversation import Conversation, done, question, read, result, write


def asked(*, limits: TurnLimits | None = None) -> Conversation:
    talk = Conversation(limits=limits)
    talk.user()
    talk.model(question("c1", "Which colour?", "red", "blue"))
    return talk


class TestAsking:
    def test_pauses_the_turn_and_shows_the_question_with_its_options(self) -> None:
        talk = Conversation()
        talk.user()
        change = talk.model(question("c1", "Which colour?", "red", "blue"))
        assert kinds(change) == ["MessageAdded", "UsageReported", "FollowupAsked", "TurnPaused"]
        [event] = [payload for payload in payloads(change) if isinstance(payload, FollowupAsked)]
        followup = event.followup
        assert (followup.question, followup.tool_call_id, followup.free_text_allowed) == ("Which colour?", "c1", True)
        assert followup.options == (FollowupOption("option_1", "red"), FollowupOption("option_2", "blue"))
        assert talk.paused.reasons == (WaitingFor.FOLLOWUP,)
        assert talk.followup == followup
        assert talk.orders == []

    def test_expires_by_the_databases_clock(self) -> None:
        talk = asked(limits=TurnLimits(followup_wait=60))
        assert (talk.followup.expire_time - DATABASE_NOW).total_seconds() == 60
        assert talk.paused.expire_time == talk.followup.expire_time

    def test_twice_in_one_answer_asks_the_first_and_tells_the_model(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(question("c1", "One?"), question("c2", "Two?"))
        assert talk.followup.question == "One?"
        assert talk.is_error("c2")
        assert "one question at a time" in talk.told("c2")
        talk.answer("yes")
        assert talk.is_running

    def test_and_declaring_completion_at_once_completes_nothing(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(done("c1"), question("c2"))
        assert talk.paused.reasons == (WaitingFor.FOLLOWUP,)
        talk.answer("red")
        assert talk.is_running
        assert "not taken" in talk.told("c1")
        assert talk.told("c2") == "red"

    def test_beside_other_calls_waits_for_all_of_them(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(question("c1"), read("c2"), write("c3", "b.py"))
        assert talk.paused.reasons == (WaitingFor.TOOL_RESULTS, WaitingFor.APPROVAL, WaitingFor.FOLLOWUP)
        talk.answer("red")
        assert list(talk.paused.reasons) == [WaitingFor.TOOL_RESULTS, WaitingFor.APPROVAL]
        assert talk.paused.followup is None
        talk.results(result("c2"))
        talk.reject("c3")
        assert talk.is_running


class TestAnswering:
    def test_by_an_option_gives_the_model_its_words(self) -> None:
        talk = asked()
        change = talk.answer(option="option_2")
        assert kinds(change) == ["InputAccepted", "ToolResultRecorded", "MessageAdded", "TurnResumed"]
        assert (talk.told("c1"), talk.is_error("c1")) == ("blue", False)
        assert payloads(change)[-1] == TurnResumed("coder", TurnResumeCause.FOLLOWUP)
        [stored] = change.inputs.values()
        assert stored.kind is InputKind.FOLLOWUP_ANSWER

    def test_in_own_words_gives_the_model_those(self) -> None:
        talk = asked()
        talk.answer("rather green")
        assert talk.told("c1") == "rather green"
        assert talk.is_running

    def test_with_an_option_that_was_not_offered_is_refused(self) -> None:
        talk = asked()
        with pytest.raises(InvalidArgumentError) as caught:
            talk.answer(option="option_3")
        assert caught.value.violations[0].description == "must be one of option_1, option_2"
        assert talk.paused.followup is not None

    def test_another_question_is_refused(self) -> None:
        talk = asked()
        with pytest.raises(TurnNotActiveError) as caught:
            talk.send(FollowupAnswer("followup_0", text="yes"))
        assert caught.value.metadata == {"turn_id": talk.turn.id}

    def test_when_nothing_is_asked_is_refused(self) -> None:
        talk = asked()
        followup = talk.followup
        talk.answer("yes")
        with pytest.raises(TurnNotActiveError):
            talk.send(FollowupAnswer(followup.id, text="yes"))
        talk.cancel()
        with pytest.raises(TurnNotActiveError) as caught:
            talk.send(FollowupAnswer(followup.id, text="yes"))
        assert caught.value.metadata == {}


class TestAUserMessageWhileAQuestionIsOpen:
    def test_is_the_answer(self) -> None:
        talk = asked()
        turn = talk.turn
        change = talk.user("I like green")
        [accepted] = [payload for payload in payloads(change) if isinstance(payload, InputAccepted)]
        assert (accepted.turn_id, accepted.disposition) == (turn.id, Disposition.CONTINUED)
        [stored] = change.inputs.values()
        assert stored.kind is InputKind.USER_MESSAGE
        assert talk.told("c1") == "I like green"
        assert [m.content for m in talk.memory.messages if m.role is Role.USER] == ["go on"]
        assert talk.turn.id == turn.id
        assert talk.is_running

    def test_leaves_the_other_waits(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(question("c1"), write("c2"))
        talk.user("red")
        assert talk.paused.reasons == (WaitingFor.APPROVAL,)
        with pytest.raises(TurnInProgressError):
            talk.user("and another thing")

    def test_may_change_the_agent_which_goes_on(self) -> None:
        talk = asked()
        talk.user("red", agent="ask")
        assert talk.turn.agent == "ask"
        assert talk.memory.context.current_agent == "ask"

    def test_enters_a_full_session_too(self) -> None:
        talk = Conversation(message_limit=2)
        talk.user()
        talk.model(question("c1"))
        talk.user("red")
        assert talk.is_running
