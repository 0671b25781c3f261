"""One session and the client that talks in it: turns of every kind, tools that count how often they run."""

from __future__ import annotations

import random
import uuid
from typing import Any

from agent_runtime.v1 import approval_pb2, input_pb2
from tests.faults.harness.caller import Caller
from tests.faults.harness.following import Leaves, follow_input, stays
from tests.faults.harness.history import History
from tests.faults.harness.script import AGENT, Kind
from tests.support.runtime_client import Event, text_result


class Conversation:
    """Speaks in one session, one turn after the other. What happens in it goes into `history`."""

    def __init__(self, caller: Caller, history: History, choice: random.Random, leaves: Leaves = stays) -> None:
        self._caller = caller
        self._choice = choice
        self._leaves = leaves
        self._ordered: list[str] = []
        self._approvals: list[approval_pb2.Approval] = []
        self._over = True
        self.history = history

    async def begin(self) -> None:
        """Creates the session."""
        session_id, request_id = self.history.session_id, _new_id()
        await self._caller.call(
            lambda client: client.new_session(session_id=session_id, agent=AGENT, request_id=request_id)
        )

    async def turn(self, kind: Kind) -> None:
        """One turn from the user's message to its end. Raises RefusedError, LostSessionError."""
        if kind is Kind.SWITCH:
            session_id, request_id = self.history.session_id, _new_id()
            await self._caller.call(lambda client: client.reset_agent(session_id, request_id))
        self._over = False
        words = f"{kind.word} number {self.history.turns}"
        await self._input({"user_message": input_pb2.UserMessage(text=words)})
        while not self._over:
            await self._answer_what_waits()
        self.history.turns += 1

    async def _answer_what_waits(self) -> None:
        if self._approvals:
            approval = self._approvals[0]
            decision = input_pb2.ApprovalDecision(
                approval_id=approval.id,
                arguments_hash=approval.arguments_hash,
                decision=approval_pb2.DECISION_APPROVE,
            )
            await self._input({"approval_decision": decision})
        elif self._ordered:
            await self._send_results()
        else:
            self.history.complaints.append("G4: a turn paused for nothing a client could do")
            self._over = True

    async def _send_results(self) -> None:
        """All at once, or each on its own and in any order: both must do."""
        waiting = list(self._ordered)
        self._choice.shuffle(waiting)
        if self._choice.random() < 0.5:
            for call_id in waiting[:-1]:
                await self._input({"tool_results": _results(call_id)}, detach=True)
            waiting = waiting[-1:]
        await self._input({"tool_results": _results(*waiting)})

    async def _input(self, fields: dict[str, Any], *, detach: bool = False) -> None:
        await follow_input(
            self._caller, self.history, _new_id(), fields, self._take, detach=detach, leaves=self._leaves
        )

    def _take(self, event: Event) -> None:
        match event.WhichOneof("payload"):
            case "tool_calls_requested":
                for call in event.tool_calls_requested.calls:
                    self.history.executions[call.id] += 1  # this is the tool: it runs when its order is seen
                    self._ordered.append(call.id)
            case "tool_result_recorded":
                if event.tool_result_recorded.tool_call_id in self._ordered:
                    self._ordered.remove(event.tool_result_recorded.tool_call_id)
            case "approval_requested":
                self._approvals.append(event.approval_requested.approval)
            case "approval_resolved":
                resolved = event.approval_resolved.approval_id
                self._approvals = [approval for approval in self._approvals if approval.id != resolved]
            case "turn_completed" | "turn_failed" | "turn_cancelled":
                self._ordered, self._approvals = [], []
                self._over = True


def _results(*call_ids: str) -> input_pb2.ToolResults:
    return input_pb2.ToolResults(results=[text_result(call_id, f"result of {call_id}") for call_id in call_ids])


def _new_id() -> str:
    return str(uuid.uuid4())
