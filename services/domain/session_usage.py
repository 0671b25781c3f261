"""What a session has cost since it was created: sums that grow with its calls and with the end of each turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

from services.domain.model_exchange import Usage
from services.domain.turn import Turn, TurnState
from services.domain.usage import ModelUsage, ToolUsage, counted_by_model, counted_by_tool


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """The sums of all turns that have ended, and of all tool calls.

    `model_calls` are those that were begun, whether an answer came or not; the answers are in `models`. Times are
    seconds.
    """

    models: Mapping[str, ModelUsage] = field(default_factory=dict)
    tools: Mapping[str, ToolUsage] = field(default_factory=dict)
    model_calls: int = 0
    completed_turns: int = 0
    failed_turns: int = 0
    cancelled_turns: int = 0
    running_time: float = 0.0
    waiting_time: float = 0.0

    @property
    def usage(self) -> Usage:
        """Tokens of all answers."""
        return reduce(Usage.__add__, (each.usage for each in self.models.values()), Usage())

    @property
    def ended_turns(self) -> int:
        """Turns that have ended, whatever the way."""
        return self.completed_turns + self.failed_turns + self.cancelled_turns

    def with_tool_call(self, name: str) -> SessionUsage:
        """The sums with one more call the model made."""
        return self._with_tool(name, ToolUsage(tool_calls=1))

    def with_failed_call(self, name: str) -> SessionUsage:
        """The sums after a call that was counted before had an error for its result."""
        return self._with_tool(name, ToolUsage(failed_tool_calls=1))

    def with_work_of(self, turn: Turn) -> SessionUsage:
        """The sums with what a turn has done so far."""
        models = self.models
        for name, used in turn.models.items():
            models = counted_by_model(models, name, used)
        return replace(
            self,
            models=models,
            model_calls=self.model_calls + turn.model_calls,
            running_time=self.running_time + turn.running_time,
        )

    def with_ended(self, turn: Turn) -> SessionUsage:
        """The sums with a turn that has just ended."""
        lasted = (turn.end_time - turn.create_time).total_seconds() if turn.end_time is not None else 0.0
        return replace(
            self.with_work_of(turn),
            completed_turns=self.completed_turns + (turn.state is TurnState.COMPLETED),
            failed_turns=self.failed_turns + (turn.state is TurnState.FAILED),
            cancelled_turns=self.cancelled_turns + (turn.state is TurnState.CANCELLED),
            waiting_time=self.waiting_time + max(lasted - turn.running_time, 0.0),
        )

    def _with_tool(self, name: str, used: ToolUsage) -> SessionUsage:
        return replace(self, tools=counted_by_tool(self.tools, name, used))
