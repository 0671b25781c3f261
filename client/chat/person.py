"""Who decides and answers while a turn waits for a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent_runtime.v1.approval_pb2 import DECISION_APPROVE, Approval, Decision
from agent_runtime.v1.input_pb2 import FollowupAnswer
from agent_runtime.v1.tool_event_pb2 import FollowupAsked


class InterruptedByPersonError(Exception):
    """Ctrl-C, or the end of the input, instead of an answer: the turn is to be cancelled."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided on one approval."""

    decision: Decision.ValueType
    feedback: str = ""
    edited_arguments_json: str = ""
    for_session: bool = False


APPROVED = Verdict(DECISION_APPROVE)


class Person(Protocol):
    """Asked by the conversation, one thing at a time. Both raise InterruptedByPersonError."""

    async def decide(self, approval: Approval) -> Verdict:
        """What to do with a call."""

    async def answer(self, question: FollowupAsked) -> FollowupAnswer:
        """The answer to a question."""
