"""Which agent a session talks to, and how it came to that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


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
    """The agent side of a session; one per session, created with it."""

    current_agent: str
    switch_count: int = 0
