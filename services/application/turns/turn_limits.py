"""How much one turn may use and how long it waits: the operator's numbers."""

from __future__ import annotations

from dataclasses import dataclass

from services.domain.session import DEFAULT_HISTORY_BYTES


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Reaching one of the first five ends a turn BUDGET_EXHAUSTED; what it waits for too long ends as each wait says.

    Times are seconds; `running_time` counts only work, not waiting. `approval_wait` None keeps approvals waiting for
    ever; with `release_expired` a call runs that nobody decided about in time, unless its tool always asks.
    `tool_result_bytes` is the largest result a client may send. `session_model_calls` and `session_tokens` are for all
    turns of a session together. A session whose messages hold `history_bytes` takes no further one. None means no
    limit.
    """

    model_calls: int = 50
    tool_calls: int = 100
    agent_switches: int = 10
    running_time: float = 30 * 60
    tokens: int | None = None
    tool_result_wait: float = 15 * 60
    approval_wait: float | None = 300
    release_expired: bool = False
    followup_wait: float = 24 * 60 * 60
    tool_result_bytes: int = 1024 * 1024
    session_model_calls: int | None = None
    session_tokens: int | None = None
    history_bytes: int = DEFAULT_HISTORY_BYTES
