"""A change shows the session as it will be, and knows when it would write nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.domain.agent_context import SwitchSource
from services.domain.errors import TurnInProgressError
from services.domain.message import Message, Role
from services.domain.session_change import SessionChange
from services.domain.session_events import AgentSwitched, MessagesCleared, NewEvent, TextDelta
from services.domain.tool_call import ToolCallState
from services.domain.turn import TurnState, Wait, WaitingFor
from tests.support.changes import NOW, a_call, a_change, a_running_turn, kinds


class TestNothing:
    def test_is_what_a_change_writes_that_stages_nothing(self) -> None:
        assert a_change().writes_nothing
        assert a_change(a_running_turn()).writes_nothing

    @pytest.mark.parametrize(
        "staged", ["an event", "the session", "the context", "the turn", "client tools", "a message"]
    )
    def test_is_not_what_anything_staged_leaves(self, staged: str) -> None:
        change = a_change(a_running_turn())
        match staged:
            case "an event":
                change.append(MessagesCleared(0))
            case "the session":
                change.session = replace(change.session, description="x")
            case "the context":
                change.context = replace(change.context, switch_count=1)
            case "the turn":
                change.turn = a_running_turn(model_calls=2)
            case "client tools":
                change.client_tools = ()
            case "a message":
                change.add_message(Message("m1", Role.USER, "hello", NOW))
        assert not change.writes_nothing

    def test_is_what_is_set_back_to_what_it_was(self) -> None:
        change = a_change()
        before = change.session
        change.session = replace(before, description="x")
        change.session = before
        assert change.writes_nothing


class TestTheBatch:
    def test_is_what_was_loaded_as_changed_since_and_what_is_new_behind_it(self) -> None:
        loaded = (a_call("c2", position=0), a_call("c1", position=1))
        change = a_change(a_running_turn(), batch=loaded)
        change.tool_calls["c1"] = replace(loaded[1], state=ToolCallState.SETTLED)
        change.tool_calls["c3"] = a_call("c3")
        assert [(call.id, call.state) for call in change.batch] == [
            ("c2", ToolCallState.OPEN),
            ("c1", ToolCallState.SETTLED),
            ("c3", ToolCallState.OPEN),
        ]


def test_events_are_numbered_from_the_head_on_those_that_waited_first() -> None:
    waiting = [NewEvent(TextDelta("m1", "so far"), NOW, "corr-1", "turn_1")]
    change = SessionChange(a_change().loaded, now=NOW, correlation_id="corr-1", waiting=waiting)
    assert change.append(MessagesCleared(0)) == 12
    assert change.last_sequence == 12
    assert kinds(change) == ["TextDelta", "MessagesCleared"]


@pytest.mark.parametrize("state", [TurnState.RUNNING, TurnState.PAUSED])
def test_a_session_with_an_active_turn_is_not_idle_and_says_why(state: TurnState) -> None:
    wait = Wait((WaitingFor.APPROVAL, WaitingFor.FOLLOWUP)) if state is TurnState.PAUSED else None
    with pytest.raises(TurnInProgressError) as caught:
        a_change(a_running_turn(state=state, wait=wait)).check_idle()
    assert caught.value.metadata == {
        "turn_id": "turn_1",
        "turn_state": state,
        "waiting_for": "APPROVAL,FOLLOWUP" if wait else "",
    }


def test_a_session_whose_turn_is_over_is_idle() -> None:
    a_change().check_idle()
    a_change(a_running_turn(state=TurnState.FAILED)).check_idle()


def test_a_switch_belongs_to_the_turn_it_happens_in() -> None:
    for turn, turn_id in [(None, None), (a_running_turn(), "turn_1"), (a_running_turn(state=TurnState.FAILED), None)]:
        change = a_change(turn)
        change.switch_agent("ask", reason="", source=SwitchSource.USER, requested_by="ann")
        assert [(event.payload, event.turn_id) for event in change.events] == [
            (AgentSwitched("universal", "ask", "", "", SwitchSource.USER), turn_id)
        ]
        assert change.switches[0].time == change.now
