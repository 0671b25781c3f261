"""The caller's own limits of a turn, and the calls it repeats without learning anything from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from services.application.turns.turn_state import running_time
from services.domain.policies.arguments import canonical_json
from services.domain.policies.tool_ordering import CallKind, plan_call
from services.domain.session_change import SessionChange
from services.domain.turn import Turn

MAX_REPEATS = 3
"""How often a call may be made while nothing else is written or run in between."""


def may_call_model(change: SessionChange, turn: Turn) -> bool:
    """Whether the caller's limits allow another model call."""
    limits = turn.limits
    if limits is None:
        return True
    used, base = turn.spent(running_time(turn, change.now)), turn.counted_from
    return (
        _is_below(used.model_calls - base.model_calls, limits.model_calls)
        and _is_below(used.tokens - base.tokens, limits.tokens)
        and _is_below(used.running_time - base.running_time, limits.running_time)
    )


def may_order_calls(turn: Turn) -> bool:
    """Whether the caller's limit allows the calls the turn has made so far."""
    limit = turn.limits.tool_calls if turn.limits is not None else None
    return limit is None or turn.tool_calls - turn.counted_from.tool_calls <= limit


def may_switch_agent(turn: Turn) -> bool:
    """Whether the caller's limit allows the turn another hand-over."""
    limit = turn.limits.agent_switches if turn.limits is not None else None
    return _is_below(turn.agent_switches - turn.counted_from.agent_switches, limit)


def with_call(turn: Turn, name: str, arguments: Mapping[str, object]) -> tuple[Turn, bool]:
    """The turn with this call counted, and whether it has been made too often in vain.

    A write, or a command, makes every other call worth repeating.
    """
    digest = hashlib.sha256(f"{name} {canonical_json(dict(arguments))}".encode()).hexdigest()[:16]
    changes_something = plan_call("", name, arguments).kind in (CallKind.WRITE, CallKind.COMMAND)
    known = {} if changes_something else dict(turn.repeats)
    known[digest] = turn.repeats.get(digest, 0) + 1
    return replace(turn, repeats=known), known[digest] > MAX_REPEATS


def _is_below(used: float, limit: float | None) -> bool:
    return limit is None or used < limit
