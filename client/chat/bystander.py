"""Stands in for a person where none is: decides by rule, answers that nobody is there."""

from __future__ import annotations

from agent_runtime.v1.approval_pb2 import DECISION_REJECT, Approval
from agent_runtime.v1.input_pb2 import FollowupAnswer
from agent_runtime.v1.tool_event_pb2 import FollowupAsked
from client.chat.person import APPROVED, InterruptedByPersonError, Verdict
from client.chat.visible import has_hidden

NOBODY = "Nobody is here to answer. Go on with the most sensible assumption and say which one it was."


class Bystander:
    """Rejects every call, or with `approve_all` approves every one that hides nothing."""

    def __init__(self, *, approve_all: bool) -> None:
        self._approve_all = approve_all
        self._approved: set[str] = set()

    async def decide(self, approval: Approval) -> Verdict:
        """By the rule, with a reason the model can read."""
        if approval.has_hidden_characters or has_hidden(approval.display):
            return Verdict(DECISION_REJECT, "refused: the arguments hold hidden characters and nobody is here to look")
        if approval.id in self._approved:
            return Verdict(DECISION_REJECT, "refused: the runtime does not let this call be approved")
        if self._approve_all:
            self._approved.add(approval.id)
            return APPROVED
        return Verdict(DECISION_REJECT, "nobody is here to approve calls; answer without this one")

    async def answer(self, question: FollowupAsked) -> FollowupAnswer:
        """That nobody is there; a question with nothing but options is not answered for a person."""
        if not question.free_text_allowed:
            raise InterruptedByPersonError
        return FollowupAnswer(followup_id=question.followup_id, text=NOBODY)
