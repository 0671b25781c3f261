"""Which agent answers a user's message while the session is with the one that routes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.application.turns.answer_steps import call_id_prefix
from services.application.turns.turn_flow import call_model_again, fail_turn
from services.application.turns.turn_limits import TurnLimits
from services.application.turns.turn_state import attempt_of, running_turn
from services.domain.agent import AGENTS_PLACEHOLDER, AgentDefinition
from services.domain.agent_context import SwitchSource
from services.domain.errors import SwitchLimitError
from services.domain.message import Message, Role
from services.domain.model_exchange import AnswerSchema, ModelAnswer, ModelRequest
from services.domain.policies.classification import Classification, Confidence, classification_schema
from services.domain.policies.keyword_routing import route_by_keywords
from services.domain.session_change import SessionChange
from services.domain.session_events import UsageReported
from services.domain.turn import Turn, TurnFailure

_LAST_RESORT = "ask"
_MAX_CHARACTERS = 8_000  # of the message: enough to know whom it is for


@dataclass(frozen=True, slots=True)
class Route:
    """The choice of an agent; `confidence` is the router's, empty where the keywords decided."""

    agent: str
    reason: str
    source: SwitchSource
    confidence: str = ""


def choose_route(text: str, classified: Classification | None, agents: Sequence[str]) -> Route:
    """The router's choice if it is sure enough, else what the words of the request say, else the agent that explains.

    `agents` are the names that may be chosen, at least one.
    """
    if classified is not None and classified.confidence is not Confidence.LOW:
        return Route(classified.agent, classified.reason, SwitchSource.ROUTER, classified.confidence.value.lower())
    by_words = route_by_keywords(text)
    if by_words is not None and by_words.agent in agents:
        return Route(by_words.agent, "by the words of the request", SwitchSource.FALLBACK)
    agent = _LAST_RESORT if _LAST_RESORT in agents else agents[0]
    return Route(agent, "nothing in the request says more", SwitchSource.FALLBACK)


def take_route(change: SessionChange, route: Route, asked: ModelAnswer | None, limits: TurnLimits) -> None:
    """Hands the turn to the chosen agent; `asked` is the model's answer, for what it cost, if it gave one.

    A session whose agent somebody has changed meanwhile keeps that one.
    """
    turn = running_turn(change)
    # The router's own question is not what the caller's limit is about.
    base = replace(turn.counted_from, model_calls=turn.counted_from.model_calls + 1)
    turn = replace(turn, counted_from=base)
    if asked is not None:
        turn = turn.having_answer(asked)
        change.append(UsageReported(asked.usage, asked.model), turn_id=turn.id)
    if change.context.current_agent == turn.agent:
        try:
            change.switch_agent(
                route.agent,
                reason=route.reason,
                source=route.source,
                requested_by=turn.principal,
                confidence=route.confidence,
            )
        except SwitchLimitError as error:
            fail_turn(change, turn, TurnFailure(error.reason, error.message))
            return
    call_model_again(change, turn, limits)


def routing_request(turn: Turn, router: AgentDefinition, agents: Sequence[AgentDefinition], text: str) -> ModelRequest:
    """The question whom a user's message is for; the router sees that message alone, the beginning of a long one."""
    listed = "\n".join(f"- {agent.name}: {agent.description}" for agent in agents)
    asked = Message(
        id=attempt_of(turn).message_id,
        role=Role.USER,
        content=text[:_MAX_CHARACTERS] or "(nothing)",
        create_time=turn.create_time,
    )
    return ModelRequest(
        messages=(asked,),
        system_prompt=router.system_prompt.replace(AGENTS_PLACEHOLDER, listed),
        correlation_id=turn.correlation_id,
        call_id_prefix=call_id_prefix(turn),
        model=router.model,
        temperature=router.temperature,
        max_tokens=router.max_tokens,
        traceparent=turn.traceparent,
        answer_schema=AnswerSchema("route", classification_schema([agent.name for agent in agents])),
    )
