"""Which agent a session talks to: every switch is counted, none goes to the same agent, and a reset always works."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.domain.agent_context import SWITCH_LIMIT, AgentContext, AgentSwitch, SwitchSource
from services.domain.errors import SameAgentError, SwitchLimitError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def switched(context: AgentContext, to_agent: str) -> AgentSwitch:
    return context.switch_to(
        to_agent, reason="why", source=SwitchSource.USER, requested_by="ann", confidence="high", time=NOW
    )


def test_a_switch_tells_all_there_is_to_tell() -> None:
    switch = switched(AgentContext("ask", switch_count=1, last_switch=7), "coder")
    assert switch == AgentSwitch(8, "ask", "coder", "why", "high", SwitchSource.USER, "ann", NOW)


def test_once_it_has_happened_the_other_agent_is_current() -> None:
    context = AgentContext("ask")
    for count, agent in enumerate(["coder", "ask", "debug"], start=1):
        context = context.after(switched(context, agent))
        assert (context.current_agent, context.switch_count, context.last_switch) == (agent, count, count)


def test_there_is_no_switch_to_the_same_agent() -> None:
    with pytest.raises(SameAgentError):
        switched(AgentContext("ask"), "ask")


def test_the_last_switch_that_is_allowed_is_the_last() -> None:
    switched(AgentContext("ask", switch_count=SWITCH_LIMIT - 1), "coder")
    with pytest.raises(SwitchLimitError) as caught:
        switched(AgentContext("ask", switch_count=SWITCH_LIMIT), "coder")
    assert caught.value.metadata == {"limit": str(SWITCH_LIMIT)}


def test_a_reset_is_stopped_by_nothing() -> None:
    context = AgentContext("ask", switch_count=SWITCH_LIMIT, last_switch=60)
    switch = context.reset_to("orchestrator", requested_by="ann", time=NOW)
    assert (switch.ordinal, switch.from_agent, switch.to_agent) == (61, "ask", "orchestrator")
