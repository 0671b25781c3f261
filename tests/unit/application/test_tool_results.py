"""A client sends what its tools gave: each result is judged by itself, recorded once, and the last one goes on."""

from __future__ import annotations

import pytest

from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_work import CompilationState
from services.domain.errors import ErrorReason, ToolCallNotOpenError, ToolResultTooLargeError
from services.domain.input import Disposition, InputKind, ToolResult
from services.domain.message import Role
from services.domain.session_change import HeadMove
from services.domain.session_events import InputAccepted, ToolResultRecorded, TurnResumed
from services.domain.tool_call import ToolResultSource
from services.domain.turn import TurnResumeCause
from tests.support.changes import kinds, payloads
from tests.support.conversation import Conversation, command, question, read, result, write


def reading(*ids: str, limits: TurnLimits | None = None) -> Conversation:
    """The client was asked to read these files at the same time."""
    talk = Conversation(limits=limits)
    talk.user()
    talk.model(*(read(id_, f"{id_}.py") for id_ in ids))
    return talk


class TestAResult:
    def test_that_is_the_last_one_has_the_model_called_again(self) -> None:
        talk = reading("c1")
        change = talk.results(result("c1", "print()"))
        assert kinds(change) == ["InputAccepted", "ToolResultRecorded", "MessageAdded", "TurnResumed"]
        assert payloads(change)[1] == ToolResultRecorded("c1", False, ToolResultSource.CLIENT)
        assert payloads(change)[-1] == TurnResumed("coder", TurnResumeCause.TOOL_RESULTS)
        assert change.head_move is HeadMove.CLAIM
        assert talk.is_running
        assert talk.turn.model_calls == 2
        assert talk.told("c1") == "print()"

    def test_is_an_input_of_the_turn_that_waits(self) -> None:
        talk = reading("c1")
        change = talk.results(result("c1"))
        [accepted] = [payload for payload in payloads(change) if isinstance(payload, InputAccepted)]
        assert (accepted.turn_id, accepted.disposition) == (talk.turn.id, Disposition.CONTINUED)
        [stored] = change.inputs.values()
        assert (stored.kind, stored.accepted_sequence) == (
            InputKind.TOOL_RESULTS,
            change.loaded.last_sequence + 1,
        )

    @pytest.mark.parametrize("order", [("c1", "c2", "c3"), ("c3", "c2", "c1"), ("c2", "c3", "c1")])
    def test_may_come_in_any_order_and_only_the_last_goes_on(self, order: tuple[str, ...]) -> None:
        talk = reading("c1", "c2", "c3")
        for id_ in order[:-1]:
            change = talk.results(result(id_))
            assert kinds(change)[-1] == "TurnPaused"
            assert not any(isinstance(payload, TurnResumed) for payload in payloads(change))
            assert id_ not in talk.paused.open_tool_call_ids
        talk.results(result(order[-1]))
        assert [p.cause for p in talk.memory.log if isinstance(p, TurnResumed)] == [TurnResumeCause.TOOL_RESULTS]
        assert talk.turn.model_calls == 2

    def test_of_several_at_once_goes_on_once(self) -> None:
        talk = reading("c1", "c2", "c3")
        change = talk.results(result("c2"), result("c3"), result("c1"))
        assert kinds(change) == ["InputAccepted", *["ToolResultRecorded", "MessageAdded"] * 3, "TurnResumed"]

    @pytest.mark.parametrize("content", ["", " \n", "0", "false", "[]", "{}", "null"])
    def test_that_looks_like_nothing_is_a_result(self, content: str) -> None:
        talk = reading("c1")
        talk.results(result("c1", content, is_json=bool(content.strip())))
        assert talk.told("c1") == (content if content.strip() else '""')
        assert not talk.is_error("c1")
        assert talk.is_running

    def test_of_a_tool_that_failed_is_for_the_model_to_answer(self) -> None:
        talk = reading("c1")
        talk.results(result("c1", "no such file", is_error=True))
        assert (talk.told("c1"), talk.is_error("c1"), talk.is_running) == ("no such file", True, True)

    def test_leaves_other_waits_as_they_are(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(read("c1"), write("c2", "b.py"), question("c3"))
        before = talk.paused
        talk.results(result("c1"))
        assert talk.paused.followup == before.followup
        assert talk.paused.pending_approval_ids == before.pending_approval_ids
        assert talk.paused.open_tool_call_ids == ()

    def test_tells_what_was_done(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(write("c1", "a.py"), write("c2", "b.py"), command("c3", "make test"))
        for id_ in ("c1", "c2", "c3"):
            talk.approve(id_)
        talk.results(result("c1", '{"created": true}'), result("c2", "written"))
        talk.results(result("c3", '{"exit_code": 2}', is_error=True))
        work = talk.memory.context.work.coder
        assert (work.files_created, work.files_modified, work.commands_executed) == (("a.py",), ("b.py",), ())
        talk.model(command("c4", "make all"))
        talk.approve("c4")
        talk.results(result("c4", '{"exit_code": 2}'))
        work = talk.memory.context.work.coder
        assert [(each.command, each.exit_code) for each in work.commands_executed] == [("make all", 2)]
        assert work.last_compilation_state is CompilationState.FAILED


class TestTheSameResultAgain:
    def test_is_accepted_without_effect_and_is_the_same_input(self) -> None:
        talk = reading("c1", "c2")
        talk.results(result("c1", "one"))
        first = talk.accepted
        change = talk.results(result("c1", "one"))
        assert change.writes_nothing
        assert not change.tool_calls
        assert talk.accepted == first

    def test_is_known_after_the_turn_has_ended_too(self) -> None:
        talk = reading("c1")
        talk.results(result("c1", "one"))
        first = talk.accepted
        talk.model(text="Done.")
        talk.user("next")
        assert talk.results(result("c1", "one")).writes_nothing
        assert talk.accepted == first

    def test_beside_a_new_one_counts_as_accepted(self) -> None:
        talk = reading("c1", "c2")
        talk.results(result("c1", "one"))
        change = talk.results(result("c1", "one"), result("c2"))
        [accepted] = [payload for payload in payloads(change) if isinstance(payload, InputAccepted)]
        assert accepted.rejected_results == ()
        assert talk.is_running

    def test_of_several_is_the_newest_of_their_inputs(self) -> None:
        talk = reading("c1", "c2")
        talk.results(result("c1"))
        talk.results(result("c2"))
        newest = talk.accepted
        assert talk.results(result("c2"), result("c1")).writes_nothing
        assert talk.accepted == newest

    def test_beside_one_that_is_refused_still_says_what_was_refused(self) -> None:
        talk = reading("c1", "c2")
        talk.results(result("c1", "one"))
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(result("c1", "one"), result("c0", "whose?"))
        assert caught.value.metadata["tool_call_id"] == "c0", "a refusal nobody hears of"

    @pytest.mark.parametrize(
        "other",
        [result("c1", "two"), result("c1", "one", is_error=True), result("c1", "one", is_json=True), result("c1", "")],
        ids=["another text", "an error", "another kind", "nothing"],
    )
    def test_with_anything_changed_is_another_and_refused(self, other: ToolResult) -> None:
        talk = reading("c1", "c2")
        talk.results(result("c1", "one"))
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(other)
        assert caught.value.metadata == {"tool_call_id": "c1", "state": "SETTLED"}
        assert talk.told("c1") == "one"


class TestAResultNobodyAskedFor:
    def test_of_a_call_that_was_never_made_is_refused(self) -> None:
        talk = reading("c1")
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(result("c9"))
        assert caught.value.metadata == {"tool_call_id": "c9", "state": "UNKNOWN"}
        assert talk.paused.open_tool_call_ids == ("c1",)

    def test_of_a_call_that_waits_for_a_person_is_refused(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(command("c1"))
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(result("c1", "I ran it anyway"))
        assert caught.value.metadata == {"tool_call_id": "c1", "state": "HELD"}
        assert "must not be run" in caught.value.message
        assert talk.pending == ["c1"]

    def test_of_a_call_that_waits_for_others_is_refused(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(write("c1", "a.py"), read("c2", "a.py"))
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(result("c2"))
        assert caught.value.metadata == {"tool_call_id": "c2", "state": "WAITING"}

    def test_of_a_question_is_refused(self) -> None:
        talk = Conversation()
        talk.user()
        talk.model(question("c1"))
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(result("c1"))
        assert caught.value.metadata == {"tool_call_id": "c1", "state": "ASKING"}

    @pytest.mark.parametrize("how", ["cancelled", "expired", "refused", "rejected"])
    def test_of_a_call_that_ended_otherwise_is_refused(self, how: str) -> None:
        talk = Conversation()
        talk.user()
        match how:
            case "cancelled":
                talk.model(read("c1"))
                talk.cancel()
            case "expired":
                talk.model(read("c1"))
                talk.wait(15 * 60)
            case "refused":
                talk.model(read("c1", "../x"))
            case "rejected":
                talk.model(write("c1"))
                talk.reject("c1")
        told = talk.told("c1")
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(result("c1", told))
        assert caught.value.metadata == {"tool_call_id": "c1", "state": "SETTLED"}

    def test_in_a_session_without_a_turn_is_refused(self) -> None:
        with pytest.raises(ToolCallNotOpenError):
            Conversation().results(result("c1"))


class TestALargeResult:
    LIMITS = TurnLimits(tool_result_bytes=10)

    def test_is_refused_with_the_limit_and_may_be_sent_smaller(self) -> None:
        talk = reading("c1", limits=self.LIMITS)
        with pytest.raises(ToolResultTooLargeError) as caught:
            talk.results(result("c1", "x" * 11))
        assert caught.value.metadata == {"tool_call_id": "c1", "limit_bytes": "10"}
        talk.results(result("c1", "x" * 10))
        assert talk.is_running

    def test_is_measured_in_bytes(self) -> None:
        talk = reading("c1", limits=self.LIMITS)
        with pytest.raises(ToolResultTooLargeError):
            talk.results(result("c1", "щ" * 6))


class TestSomeOfSeveralResults:
    def test_are_recorded_and_the_others_named_with_their_reasons(self) -> None:
        talk = Conversation(limits=TurnLimits(tool_result_bytes=10))
        talk.user()
        talk.model(read("c1"), read("c2", "b"), write("c3", "c"))
        change = talk.results(result("c1", "x" * 11), result("c2"), result("c3"), result("c9"))
        [accepted] = [payload for payload in payloads(change) if isinstance(payload, InputAccepted)]
        assert [(each.tool_call_id, each.reason) for each in accepted.rejected_results] == [
            ("c1", ErrorReason.TOOL_RESULT_TOO_LARGE),
            ("c3", ErrorReason.TOOL_CALL_NOT_OPEN),
            ("c9", ErrorReason.TOOL_CALL_NOT_OPEN),
        ]
        assert all(each.message for each in accepted.rejected_results)
        assert talk.paused.open_tool_call_ids == ("c1",)
        assert [m.tool_call_id for m in talk.memory.messages if m.role is Role.TOOL] == ["c2"]

    def test_of_one_call_at_once_make_one_result(self) -> None:
        talk = reading("c1")
        talk.results(result("c1", "one"), result("c1", "two"))
        assert [m.content for m in talk.memory.messages if m.role is Role.TOOL] == ["one"]

    def test_that_are_all_refused_are_an_error_and_change_nothing(self) -> None:
        talk = reading("c1")
        before = talk.memory.last_sequence
        with pytest.raises(ToolCallNotOpenError) as caught:
            talk.results(result("c8"), result("c9"))
        assert caught.value.metadata["tool_call_id"] == "c8"
        assert talk.memory.last_sequence == before
