"""Which agent a session talks to, and how it came to that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from services.domain.agent_work import AgentWork
from services.domain.errors import SameAgentError, SwitchLimitError

SWITCH_LIMIT = 50
"""Switches of one session until its agent is reset."""


class SwitchSource(StrEnum):
    """Who asked for a switch."""

    USER = "USER"
    ROUTER = "ROUTER"
    AGENT = "AGENT"
    FALLBACK = "FALLBACK"
    CACHE = "CACHE"


@dataclass(frozen=True, slots=True)
class AgentSwitch:
    """One entry of the switch history; `ordinal` counts from 1 within the session."""

    ordinal: int
    from_agent: str
    to_agent: str
    reason: str
    confidence: str
    source: SwitchSource
    requested_by: str
    time: datetime


@dataclass(frozen=True, slots=True)
class AgentContext:
    """The agent side of a session; one per session, created with it.

    `switch_count` counts the switches since the last reset, `last_switch` is the ordinal of the newest one ever.
    """

    current_agent: str
    switch_count: int = 0
    last_switch: int = 0
    work: AgentWork = field(default_factory=AgentWork)

    def check_can_switch_to(self, to_agent: str) -> None:
        """Raises SameAgentError or SwitchLimitError."""
        if to_agent == self.current_agent:
            raise SameAgentError("the session already talks to this agent")
        if self.switch_count >= SWITCH_LIMIT:
            raise SwitchLimitError(
                "the session has used up its agent switches; reset its agent to go on",
                metadata={"limit": str(SWITCH_LIMIT)},
            )

    def switch_to(
        self, to_agent: str, *, reason: str, source: SwitchSource, requested_by: str, confidence: str, time: datetime
    ) -> AgentSwitch:
        """The next entry of the history. Raises SameAgentError or SwitchLimitError (`ResetAgent` is the way out)."""
        self.check_can_switch_to(to_agent)
        return AgentSwitch(
            self.last_switch + 1, self.current_agent, to_agent, reason, confidence, source, requested_by, time
        )

    def reset_to(self, initial_agent: str, *, requested_by: str, time: datetime) -> AgentSwitch:
        """The entry of a reset, which no limit stops."""
        return AgentSwitch(
            self.last_switch + 1, self.current_agent, initial_agent, "reset", "", SwitchSource.USER, requested_by, time
        )

    def after(self, switch: AgentSwitch) -> AgentContext:
        """The context once that switch has happened."""
        return replace(
            self,
            current_agent=switch.to_agent,
            switch_count=self.switch_count + 1,
            last_switch=switch.ordinal,
        )
