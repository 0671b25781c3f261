"""While so many turns run for an owner as may, a message that waits goes on waiting, and nobody overtakes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.application.turns.turn_limits import TurnLimits
from services.domain.errors import RuntimeServiceError
from services.domain.input import Disposition
from services.domain.turn import TurnState
from tests.support.changes import kinds
from tests.support.conversation import Conversation, done, read, result

Ending = Callable[[Conversation], object]

# How a turn ends that waits for the result of "c1".
ENDINGS: dict[str, Ending] = {
    "cancelled": lambda talk: talk.cancel(),
    "expired": lambda talk: talk.wait(10**5),
    "completed": lambda talk: talk.results(result("c1")),
    "out of calls": lambda talk: talk.results(result("c1")),
}


def behind_a_paused_turn(*, model_calls: int = 50) -> Conversation:
    """A message waits for the end of a turn that waits; of two places none is free."""
    talk = Conversation(limits=TurnLimits(model_calls=model_calls))
    talk.user()
    talk.model(read("c1"), done("c2")) if model_calls > 1 else talk.model(read("c1"))
    talk.queue("later")
    talk.memory.most_running, talk.memory.running_elsewhere = 2, 2
    return talk


@pytest.fixture
def talk() -> Conversation:
    """The paused turn has ended, and the message still waits."""
    talk = behind_a_paused_turn()
    talk.cancel()
    assert talk.memory.turn is None
    return talk


@pytest.mark.parametrize("ending", ENDINGS)
def test_it_does_not_begin_with_the_end_of_a_turn_that_did_not_run(ending: str) -> None:
    talk = behind_a_paused_turn(model_calls=1 if ending == "out of calls" else 50)
    ENDINGS[ending](talk)
    assert not talk.last_turn.state.is_active
    assert talk.waiting == ["later"]
    assert not talk.memory.owned
    talk.wait(1)
    assert talk.waiting == ["later"]
    talk.memory.running_elsewhere = 1
    change = talk.wait(1)
    assert kinds(change) == ["MessageAdded", "TurnStarted"]
    assert talk.is_running
    assert talk.memory.owned
    assert talk.waiting == []


def test_a_turn_that_ran_gives_its_place_to_the_message_behind_it() -> None:
    talk = Conversation()
    talk.memory.most_running, talk.memory.running_elsewhere = 2, 1
    talk.user()
    talk.queue("later")
    talk.model(text="Done.")
    assert talk.is_running
    assert talk.waiting == []


def test_but_not_while_more_run_than_may() -> None:
    talk = Conversation()
    talk.user()
    talk.queue("later")
    talk.memory.most_running, talk.memory.running_elsewhere = 2, 2  # turns that waited have gone on
    talk.model(text="Done.")
    assert talk.last_turn.state is TurnState.COMPLETED
    assert talk.waiting == ["later"]


def test_what_else_waits_stays_behind_it(talk: Conversation) -> None:
    talk.memory.running_elsewhere = 0  # there is a place, and nobody has looked yet
    taken: list[Disposition | None] = []
    for send, text in ((talk.queue, "last"), (talk.steer, "first")):
        send(text)
        taken.append(talk.accepted.disposition if talk.accepted else None)
    assert taken == [Disposition.QUEUED, Disposition.STEERED]
    assert talk.waiting == ["first", "later", "last"]
    assert talk.memory.turn is None


@pytest.mark.parametrize("what", [Conversation.user, Conversation.resume])
def test_the_session_is_busy_meanwhile(talk: Conversation, what: Ending) -> None:
    talk.memory.running_elsewhere = 0
    with pytest.raises(RuntimeServiceError) as caught:
        what(talk)
    assert caught.value.reason == "TURN_IN_PROGRESS"
    assert talk.waiting == ["later"]


def test_only_one_who_interrupts_goes_before_it_and_needs_a_place_too(talk: Conversation) -> None:
    with pytest.raises(RuntimeServiceError) as caught:
        talk.interrupt("now")
    assert caught.value.reason == "TOO_MANY_TURNS"
    talk.memory.running_elsewhere = 0
    talk.interrupt("now")
    assert talk.is_running
    talk.model(text="Done.")
    assert talk.is_running
    assert talk.waiting == []


def test_it_can_be_taken_back(talk: Conversation) -> None:
    [waiting] = talk.memory.load().pending_inputs
    talk.withdraw(waiting.id)
    talk.memory.running_elsewhere = 0
    assert talk.wait(1).writes_nothing
    talk.user()
    assert talk.is_running
