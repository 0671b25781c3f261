"""Whatever takes a turn away, every call gets its result and every approval its end, and the session still works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.application.ports import Principal
from services.application.sessions.delete_session import DeleteSession
from services.application.turns.outside_steps import recover_turn
from services.domain.approval import ApprovalState
from services.domain.errors import ErrorReason
from services.domain.message import MessageToolCall
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import HeadMove, SessionChange
from services.domain.session_events import ApprovalResolved, ToolResultRecorded, TurnCancelled, TurnFailed
from services.domain.tool_call import ToolResultSource
from services.domain.turn import CancelCause, TurnState
from tests.support.changes import kinds, payloads
from tests.support.conversation import Conversation, command, done, ends_of, question, read, result, write
from tests.unit.application.engine import Engine

EVERYTHING = (read("c1"), write("c2", "b.py"), read("c3", "b.py"), command("c4"), question("c5"), done("c6"))
ENDS: dict[str, Callable[[Conversation], SessionChange]] = {
    "cancel": Conversation.cancel,
    "fault": Conversation.fault,
}


def asked(*calls: MessageToolCall) -> Conversation:
    talk = Conversation()
    talk.user()
    talk.model(*calls)
    return talk


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
class TestATurnThatIsEnded:
    def test_settles_its_open_held_waiting_and_asking_calls(self, end: Callable[[Conversation], SessionChange]) -> None:
        talk = asked(*EVERYTHING)
        change = end(talk)
        settled = [payload for payload in payloads(change) if isinstance(payload, ToolResultRecorded)]
        assert sorted(event.tool_call_id for event in settled) == ["c1", "c2", "c3", "c4", "c5", "c6"]
        assert {event.source for event in settled} == {ToolResultSource.SETTLED}
        for call_id in ("c1", "c2", "c3", "c4", "c5", "c6"):
            assert talk.record(call_id).outcome is CallOutcome.NOT_RUN
            assert talk.is_error(call_id)

    def test_withdraws_its_approvals_before_its_end(self, end: Callable[[Conversation], SessionChange]) -> None:
        talk = asked(*EVERYTHING)
        change = end(talk)
        withdrawn = [payload for payload in payloads(change) if isinstance(payload, ApprovalResolved)]
        assert sorted(event.tool_call_id for event in withdrawn) == ["c2", "c4"]
        assert {(event.outcome, event.released) for event in withdrawn} == {(ApprovalState.CANCELLED, False)}
        assert kinds(change)[-1] in ("TurnCancelled", "TurnFailed")

    def test_keeps_the_results_it_has(self, end: Callable[[Conversation], SessionChange]) -> None:
        talk = asked(read("c1"), read("c2", "b"))
        talk.results(result("c1", "one"))
        end(talk)
        assert talk.told("c1") == "one"
        assert not talk.is_error("c1")
        assert talk.is_error("c2")

    def test_waits_for_nothing_any_more(self, end: Callable[[Conversation], SessionChange]) -> None:
        talk = asked(*EVERYTHING)
        change = end(talk)
        assert change.head_move is HeadMove.KEEP, "nobody ran it"
        assert talk.last_turn.wait is None
        assert talk.last_turn.end_time == talk.memory.now
        assert talk.memory.turn is None
        assert len(ends_of(talk.memory)) == 1

    def test_leaves_a_session_that_works(self, end: Callable[[Conversation], SessionChange]) -> None:
        talk = asked(*EVERYTHING)
        end(talk)
        talk.user("something else")
        talk.model(read("d1"))
        talk.results(result("d1"))
        talk.model(text="Done.")
        assert talk.last_turn.state is TurnState.COMPLETED


def test_a_cancel_says_who_and_why() -> None:
    talk = asked(write("c1"))
    assert payloads(talk.cancel())[-1] == TurnCancelled(CancelCause.USER, "ann")
    assert "cancelled" in talk.told("c1")


def test_a_fault_says_nothing_of_itself() -> None:
    talk = asked(write("c1"))
    assert payloads(talk.fault())[-1] == TurnFailed(ErrorReason.INTERNAL, "internal error", None, True)


def test_a_cancel_keeps_what_the_running_attempt_said_and_nothing_older() -> None:
    talk = Conversation()
    talk.user()
    talk.memory.stream("void ")
    talk.crash()
    talk.memory.stream("half a ")
    talk.memory.stream("sentence")
    talk.cancel()
    assert talk.memory.messages[-1].content == "half a sentence"
    assert not talk.memory.messages[-1].complete


def test_a_paused_turn_has_no_text_to_keep() -> None:
    talk = Conversation()
    talk.user()
    talk.memory.stream("Let me look")
    talk.model(read("c1"), text="Let me look")
    talk.cancel()
    assert [message.content for message in talk.memory.messages].count("Let me look") == 1


def test_a_paused_turn_is_nobodys_to_recover() -> None:
    talk = asked(read("c1"))
    talk.memory.owner_lives = False
    assert talk.memory.change(lambda change: recover_turn(change, unattended=True)).writes_nothing


async def test_a_deletion_tells_watchers_of_every_approval_and_turn_it_ends() -> None:
    engine = Engine()
    talk = asked(*EVERYTHING)
    engine.store.sessions["s1"] = talk.memory
    delete = DeleteSession(engine.store, engine.turns)
    await delete.execute(Principal("bob", "ann"), session_id="s1", request_id="", correlation_id="corr-2")
    change, _ = talk.memory.changes[-1]
    assert kinds(change) == ["ApprovalResolved", "ApprovalResolved", "TurnCancelled", "SessionDeleted"]
    assert payloads(change)[2] == TurnCancelled(CancelCause.SESSION_DELETED, "bob")
    assert change.head_move is HeadMove.FENCE
    assert talk.memory.deleted
    assert (talk.memory.calls, talk.memory.approvals, talk.memory.turn) == ({}, {}, None)


def test_a_turn_that_goes_on_after_a_crash_makes_its_model_call_again_under_new_call_ids() -> None:
    talk = Conversation()
    talk.user()
    talk.model(MessageToolCall("", "teleport", "{}"))
    talk.crash()
    talk.model(MessageToolCall("", "teleport", "{}"))
    talk.model(text="Done.")
    ids = [call.id for message in talk.memory.messages for call in message.tool_calls]
    assert len(set(ids)) == 2
    assert talk.last_turn.model_calls == 3
