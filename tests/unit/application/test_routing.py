"""Whom a user's message is for: the router's word if it is sure, else the words of the message, else who explains."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from services.application.turns.routing_steps import Route, choose_route, routing_request, take_route
from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_context import SWITCH_LIMIT, AgentContext, SwitchSource
from services.domain.errors import ErrorReason
from services.domain.message import Role
from services.domain.model_exchange import FinishReason, ModelAnswer
from services.domain.policies.classification import Classification, Confidence, parse_classification
from services.domain.session_change import SessionChange
from services.domain.session_events import AgentSwitched, UsageReported
from services.domain.turn import TurnState
from tests.support.catalogs import Agents
from tests.support.changes import kinds, payloads
from tests.support.conversation import ONE_TOKEN, Conversation

NAMES = [agent.name for agent in Agents().routable()]
ROUTE = Route("coder", "it is code", SwitchSource.ROUTER, "high")


def said(text: str) -> ModelAnswer:
    return ModelAnswer(text, "", (), FinishReason.STOP, ONE_TOKEN, "scripted")


def routed(talk: Conversation, route: Route = ROUTE, answer: ModelAnswer | None = None) -> SessionChange:
    return talk.memory.change(lambda change: take_route(change, route, answer, talk.limits))


def asking() -> Conversation:
    """A message has come to a session that is with the router."""
    talk = Conversation(agent="orchestrator")
    talk.user("please fix it")
    return talk


class TestTheChoice:
    @pytest.mark.parametrize("confidence", [Confidence.HIGH, Confidence.MEDIUM])
    def test_is_the_routers_when_it_is_sure(self, confidence: Confidence) -> None:
        route = choose_route("explain this", Classification("debug", confidence, "there is a trace"), NAMES)
        assert route == Route("debug", "there is a trace", SwitchSource.ROUTER, confidence.value.lower())

    @pytest.mark.parametrize(
        "classified",
        [
            Classification("architect", Confidence.LOW, "who knows"),
            parse_classification("I think it is a question?", NAMES),
            parse_classification('{"agent": "nobody", "confidence": "high"}', NAMES),
            parse_classification('{"agent": "orchestrator", "confidence": "high"}', NAMES),
            None,
        ],
        ids=["unsure", "unparsable", "nobody", "itself", "the model is away"],
    )
    @pytest.mark.parametrize(
        ("text", "agent"), [("implement the parser", "coder"), ("объясни, как это работает", "ask")]
    )
    def test_is_by_the_words_of_the_message_otherwise(
        self, text: str, agent: str, classified: Classification | None
    ) -> None:
        route = choose_route(text, classified, NAMES)
        assert (route.agent, route.source, route.confidence) == (agent, SwitchSource.FALLBACK, "")

    def test_is_who_explains_when_the_words_say_nothing(self) -> None:
        assert choose_route("zzz", None, NAMES).agent == "ask"
        assert choose_route("zzz", None, ["coder", "debug"]).agent == "coder"

    def test_is_never_one_who_may_not_be_chosen(self) -> None:
        assert choose_route("implement the parser", None, ["ask", "debug"]).agent == "ask"


class TestTheQuestion:
    def test_shows_the_router_the_message_and_whom_there_is(self) -> None:
        talk = asking()
        agents = Agents()
        router = replace(agents.get("orchestrator"), system_prompt='One of: {agents}\nAs {"agent": …}', model="small")
        request = routing_request(talk.turn, router, agents.routable(), "please fix it")
        assert [(message.role, message.content) for message in request.messages] == [(Role.USER, "please fix it")]
        for name in NAMES:
            assert f"- {name}: " in request.system_prompt
        assert '{"agent": …}' in request.system_prompt, "other braces stay as they are"
        assert (request.tools, request.model) == ((), "small")

    def test_asks_for_an_answer_that_can_be_read(self) -> None:
        request = routing_request(asking().turn, Agents().get("orchestrator"), Agents().routable(), "please fix it")
        assert request.answer_schema is not None
        schema = msgspec.json.decode(msgspec.json.encode(request.answer_schema.schema))
        assert schema["properties"]["agent"]["enum"] == NAMES
        for confidence in schema["properties"]["confidence"]["enum"]:
            answer = json.dumps({"agent": NAMES[0], "confidence": confidence, "reason": "so"})
            assert list(json.loads(answer)) == schema["required"]
            read = parse_classification(answer, NAMES)
            assert read == Classification(NAMES[0], Confidence(confidence.upper()), "so")

    @pytest.mark.parametrize(("text", "length"), [("", len("(nothing)")), ("x" * 100_000, 8_000)])
    def test_is_never_empty_and_never_long(self, text: str, length: int) -> None:
        talk = asking()
        request = routing_request(talk.turn, Agents().get("orchestrator"), Agents().routable(), text)
        assert len(request.messages[0].content) == length


class TestTheHandOver:
    def test_has_the_chosen_agent_answer_and_leaves_no_trace_in_the_history(self) -> None:
        talk = asking()
        before = list(talk.memory.messages)
        change = routed(talk, answer=said('{"agent": "coder", "confidence": "high", "reason": "it is code"}'))
        assert kinds(change) == ["UsageReported", "AgentSwitched"]
        assert payloads(change)[-1] == AgentSwitched("orchestrator", "coder", "it is code", "high", SwitchSource.ROUTER)
        assert (talk.turn.agent, talk.turn.model_calls, talk.turn.state) == ("coder", 2, TurnState.RUNNING)
        assert talk.turn.usage == ONE_TOKEN
        assert talk.memory.messages == before
        assert talk.turn.agent_switches == 0

    def test_costs_nothing_when_the_model_was_away(self) -> None:
        talk = asking()
        assert not any(isinstance(payload, UsageReported) for payload in payloads(routed(talk)))
        assert talk.turn.agent == "coder"

    def test_is_by_another_attempt_at_another_message(self) -> None:
        talk = asking()
        asked = talk.turn.attempt
        routed(talk)
        assert talk.turn.attempt is not None
        assert asked is not None
        assert talk.turn.attempt.message_id != asked.message_id

    def test_gives_way_to_a_user_who_has_switched_meanwhile(self) -> None:
        talk = asking()
        talk.switch("architect")
        change = routed(talk, answer=said("coder"))
        assert kinds(change) == ["UsageReported"], "what was asked is paid for"
        assert talk.turn.agent == "architect"

    def test_keeps_the_agent_for_the_next_message(self) -> None:
        talk = asking()
        routed(talk)
        talk.model(text="Done.")
        talk.user("another thing")
        assert talk.turn.agent == "coder"

    def test_beyond_the_sessions_limit_ends_the_turn_and_says_the_way_out(self) -> None:
        talk = Conversation(agent="orchestrator")
        talk.memory.context = AgentContext("orchestrator", switch_count=SWITCH_LIMIT)
        talk.user()
        routed(talk)
        assert talk.failure is ErrorReason.SWITCH_LIMIT
        assert "reset" in (talk.last_turn.failure.message if talk.last_turn.failure else "")

    def test_counts_as_a_model_call(self) -> None:
        talk = Conversation(agent="orchestrator", limits=TurnLimits(model_calls=1))
        talk.user()
        routed(talk)
        assert talk.failure is ErrorReason.BUDGET_EXHAUSTED
