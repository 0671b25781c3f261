"""The tools that the runtime runs itself: handing a session over, and asking the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from services.application.turns.budget import may_switch_agent
from services.application.turns.settling import settle
from services.application.turns.turn_limits import TurnLimits
from services.domain.agent_context import SwitchSource
from services.domain.errors import SameAgentError, SwitchLimitError
from services.domain.ids import new_id
from services.domain.policies.tool_ordering import CallOutcome
from services.domain.session_change import SessionChange
from services.domain.session_events import FollowupAsked
from services.domain.tool_call import ToolCall, ToolCallState, ToolResultSource
from services.domain.turn import Followup, FollowupOption, Turn

_MAX_REASON = 500


def switch_mode(change: SessionChange, turn: Turn, call: ToolCall, arguments: Mapping[str, object]) -> Turn:
    """Hands the session over, from the next model call on; what cannot be is an error the model can answer to."""
    mode, reason = str(arguments["mode"]), storable(arguments.get("reason", ""))[:_MAX_REASON]
    refusal = None if may_switch_agent(turn) else "the user allows this task no further change of mode"
    if refusal is None:
        try:
            change.switch_agent(mode, reason=reason, source=SwitchSource.AGENT, requested_by=turn.principal)
        except (SameAgentError, SwitchLimitError) as error:
            refusal = error.message
    if refusal is not None:
        settle(change, call, f"not switched: {refusal}", CallOutcome.FAILED, ToolResultSource.RUNTIME)
        return turn
    settle(change, call, f"the session is in mode {mode} now", CallOutcome.SUCCEEDED, ToolResultSource.RUNTIME)
    return replace(turn, agent_switches=turn.agent_switches + 1)


def ask_question(
    change: SessionChange,
    call: ToolCall,
    arguments: Mapping[str, object],
    open_one: Followup | None,
    limits: TurnLimits,
) -> Followup:
    """Asks the user, unless a question is open already; returns the one that is open then."""
    if open_one is not None:
        why = "not asked: one question at a time; ask again after the answer"
        settle(change, call, why, CallOutcome.FAILED, ToolResultSource.RUNTIME)
        return open_one
    suggestions = arguments.get("suggestions")
    texts = [storable(text) for text in suggestions] if isinstance(suggestions, list) else []
    followup = Followup(
        id=new_id("followup"),
        tool_call_id=call.id,
        question=storable(arguments["question"]),
        options=tuple(FollowupOption(f"option_{number}", text) for number, text in enumerate(texts, start=1)),
        free_text_allowed=True,
        expire_time=change.loaded.deadline_now + timedelta(seconds=limits.followup_wait),
    )
    change.tool_calls[call.id] = replace(call, state=ToolCallState.ASKING)
    change.append(FollowupAsked(followup), turn_id=call.turn_id)
    return followup


def storable(value: object) -> str:
    """A text out of a model's JSON, where an escape may be a character that no database takes."""
    return str(value).replace("\x00", "\ufffd")
