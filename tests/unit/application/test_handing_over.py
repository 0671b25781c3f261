"""The agent of a session changes: by the agent itself, in mid-turn and over several hops, or by the user's hand."""

from __future__ import annotations

import pytest

from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_context import SWITCH_LIMIT, AgentContext, SwitchSource
from services.domain.errors import ErrorReason, SameAgentError, SwitchLimitError
from services.domain.session_events import AgentSwitched
from services.domain.turn import TurnState
from tests.support.changes import kinds, payloads
from tests.support.conversation import Conversation, handover, read, result, write


class TestAnAgentThatHandsOver:
    def test_makes_the_other_one_answer_from_the_next_model_call_on(self) -> None:
        talk = Conversation(agent="architect")
        talk.user()
        change = talk.model(handover("c1", "coder", "this needs code"))
        assert kinds(change) == ["MessageAdded", "UsageReported", "AgentSwitched", "ToolResultRecorded", "MessageAdded"]
        [event] = [payload for payload in payloads(change) if isinstance(payload, AgentSwitched)]
        assert event == AgentSwitched("architect", "coder", "this needs code", "", SwitchSource.AGENT)
        assert (talk.turn.agent, talk.turn.agent_switches) == ("coder", 1)
        assert (talk.told("c1"), talk.is_error("c1")) == ("the session is in mode coder now", False)
        [switch] = talk.memory.switches
        assert (switch.ordinal, switch.source, switch.requested_by) == (1, SwitchSource.AGENT, "ann")

    def test_may_do_so_over_several_hops(self) -> None:
        talk = Conversation(agent="ask")
        talk.user()
        for number, agent in enumerate(["debug", "architect", "coder"]):
            talk.model(handover(f"c{number}", agent))
            assert talk.turn.agent == agent
        talk.model(text="Done.")
        assert talk.last_turn.agent_switches == 3
        assert [switch.to_agent for switch in talk.memory.switches] == ["debug", "architect", "coder"]

    def test_hands_over_once_its_other_calls_are_through(self) -> None:
        talk = Conversation(agent="ask")
        talk.user()
        talk.model(handover("c1", "coder"), read("c2"))
        assert (talk.turn.agent, talk.memory.context.current_agent) == ("ask", "coder")
        talk.results(result("c2"))
        assert talk.turn.agent == "coder"

    def test_leaves_its_calls_their_agent_and_its_rights(self) -> None:
        talk = Conversation(agent="architect")
        talk.user()
        talk.model(handover("c1", "coder"), write("c2", "x.py"), write("c3", "x.md"))
        assert talk.is_error("c2")
        assert talk.pending == ["c3"]
        assert talk.record("c3").agent == "architect"

    @pytest.mark.parametrize(
        ("mode", "said"),
        [("ask", "not switched"), ("nobody", "no such mode"), ("orchestrator", "no such mode"), ("", "no such mode")],
    )
    def test_to_itself_to_nobody_or_to_the_router_is_told_so(self, mode: str, said: str) -> None:
        talk = Conversation(agent="ask")
        talk.user()
        talk.model(handover("c1", mode))
        assert said in talk.told("c1")
        assert talk.is_error("c1")
        assert (talk.memory.context.current_agent, talk.turn.agent_switches) == ("ask", 0)
        assert talk.is_running

    def test_to_nobody_learns_whom_there_is(self) -> None:
        talk = Conversation(agent="ask")
        talk.user()
        talk.model(handover("c1", "nobody"))
        assert "architect, ask, coder, debug, universal" in talk.told("c1")

    def test_twice_in_one_answer_does_both_in_order(self) -> None:
        talk = Conversation(agent="ask")
        talk.user()
        talk.model(handover("c1", "debug"), handover("c2", "coder"))
        assert (talk.turn.agent, talk.turn.agent_switches) == ("coder", 2)

    def test_in_circles_is_stopped_by_the_limit_of_the_turn(self) -> None:
        talk = Conversation(agent="ask", limits=TurnLimits(agent_switches=2))
        talk.user()
        talk.model(handover("c1", "debug"))
        talk.model(handover("c2", "ask"))
        talk.model(handover("c3", "debug"), read("c4"), write("c5", "x.md"))
        assert talk.last_turn.state is TurnState.FAILED
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED
        assert "2 agent switches" in (talk.last_turn.failure.message if talk.last_turn.failure else "")
        assert talk.orders == []
        assert [switch.to_agent for switch in talk.memory.switches] == ["debug", "ask"], "no switch beyond the limit"

    def test_beyond_what_the_session_allows_is_told_so(self) -> None:
        talk = Conversation(agent="ask")
        talk.memory.context = AgentContext("ask", switch_count=SWITCH_LIMIT)
        talk.user()
        talk.model(handover("c1", "coder"))
        assert "reset" in talk.told("c1")
        assert talk.is_running
        assert talk.turn.agent == "ask"


class TestTheUser:
    def test_changes_the_agent_of_a_running_turn_from_the_next_model_call_on(self) -> None:
        talk = Conversation(agent="ask")
        talk.user()
        change = talk.switch("coder")
        assert [event.turn_id for event in change.events] == [talk.turn.id]
        assert talk.turn.agent == "ask", "the answer that is being given is still that agent's"
        talk.model(read("c1"))
        assert talk.record("c1").agent == "ask"
        talk.results(result("c1"))
        assert talk.turn.agent == "coder"
        assert talk.turn.agent_switches == 0, "not the agent's own hop"

    def test_changes_the_agent_of_a_paused_turn_too(self) -> None:
        talk = Conversation(agent="coder")
        talk.user()
        talk.model(write("c1", "x.py"))
        talk.switch("architect")
        talk.approve("c1")
        assert talk.orders == [["c1"]], "an open call keeps the rights of the agent that made it"
        talk.results(result("c1"))
        assert talk.turn.agent == "architect"
        talk.model(write("c2", "y.py"))
        assert talk.is_error("c2")

    def test_and_the_agent_at_once_to_the_same_is_no_fault(self) -> None:
        talk = Conversation(agent="ask")
        talk.user()
        talk.switch("coder")
        talk.model(handover("c1", "coder"))
        assert "already" in talk.told("c1")
        assert talk.turn.agent == "coder"

    def test_may_name_the_agent_in_a_message(self) -> None:
        talk = Conversation(agent="ask")
        change = talk.user(agent="coder")
        assert kinds(change) == ["InputAccepted", "AgentSwitched", "MessageAdded", "TurnStarted"]
        assert talk.turn.agent == "coder"
        talk.model(text="Done.")
        assert kinds(talk.user(agent="coder")) == ["InputAccepted", "MessageAdded", "TurnStarted"]

    def test_cannot_switch_to_the_agent_there_is_or_beyond_the_limit(self) -> None:
        talk = Conversation(agent="ask")
        with pytest.raises(SameAgentError):
            talk.switch("ask")
        talk.memory.context = AgentContext("ask", switch_count=SWITCH_LIMIT)
        with pytest.raises(SwitchLimitError) as caught:
            talk.switch("coder")
        assert caught.value.metadata == {"limit": "50"}
        with pytest.raises(SwitchLimitError):
            talk.user(agent="coder")
        assert talk.memory.turn is None, "the message was not half accepted"

    def test_finds_the_way_out_of_the_limit_by_a_reset(self) -> None:
        talk = Conversation(agent="ask")
        talk.memory.context = AgentContext("ask", switch_count=SWITCH_LIMIT)
        talk.memory.change(lambda change: change.reset_agent("orchestrator", requested_by="ann"))
        assert (talk.memory.context.current_agent, talk.memory.context.switch_count) == ("orchestrator", 0)
        talk.switch("coder")
        assert talk.memory.context.switch_count == 1
        assert [switch.ordinal for switch in talk.memory.switches] == [1, 2]

    def test_who_resets_what_is_fresh_changes_nothing(self) -> None:
        talk = Conversation(agent="orchestrator")
        assert talk.memory.change(lambda change: change.reset_agent("orchestrator", requested_by="ann")).writes_nothing
