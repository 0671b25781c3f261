"""What all turns of a session together may use: the operator's limits, looked at before each model call."""

from __future__ import annotations

from services.application.turns.turn_limits import TurnLimits
from services.domain.session_usage import SessionUsage
from services.domain.turn import Turn

_WAY_OUT = "go on in a fork of it or in a new session"


def exceeded_session_limit(usage: SessionUsage, turn: Turn, limits: TurnLimits) -> str | None:
    """Which limit forbids the model call that the turn has counted last, in words for people; None if none does.

    `usage` is of the turns before this one.
    """
    calls, tokens = limits.session_model_calls, limits.session_tokens
    if calls is not None and usage.model_calls + turn.model_calls > calls:
        return f"the session reached its limit of {calls} model calls; {_WAY_OUT}"
    if tokens is not None and usage.usage.tokens + turn.usage.tokens >= tokens:
        return f"the session reached its limit of {tokens} tokens; {_WAY_OUT}"
    return None
