"""Somebody who uses a session as its client: runs the tools, approves, answers, and goes on until the turn ends."""

from __future__ import annotations

from typing import Any

from agent_runtime.v1 import approval_pb2, input_pb2, message_service_pb2
from tests.support.runtime_client import Event, RuntimeClient, ended, text_result


class Person:
    """One session, with one turn after the other."""

    def __init__(self, client: RuntimeClient, session_id: str) -> None:
        self._client = client
        self._session_id = session_id

    async def say(self, words: str, agent: str | None = None) -> Event:
        """The event that ends the turn of this message."""
        return await self._to_the_end(await self._client.ask(self._session_id, words, agent=agent))

    async def resume(self) -> Event:
        """The event that ends the failed turn, taken up again."""
        return await self._to_the_end(await self._send(resume=input_pb2.Resume()))

    async def open_calls(self) -> int:
        """How many tool calls wait for anybody."""
        request = message_service_pb2.ListOpenToolCallsRequest(session_id=self._session_id)
        listed = await self._client.messages.ListOpenToolCalls(request, metadata=self._client.metadata)
        return len(listed.open_tool_calls)

    async def _to_the_end(self, events: list[Event]) -> Event:
        while not ended(events):
            asked, ordered, question = _open_in(events)
            if asked is not None:
                decision = input_pb2.ApprovalDecision(
                    approval_id=asked.id,
                    arguments_hash=asked.arguments_hash,
                    decision=approval_pb2.DECISION_APPROVE,
                )
                events = await self._send(approval_decision=decision)
            elif ordered:
                events = await self._client.tool_results(
                    self._session_id, *(text_result(call_id, "done") for call_id in ordered)
                )
            elif question:
                events = await self._client.answer(self._session_id, question, text="this one")
            else:
                raise AssertionError(f"the turn waits for nothing: {events[-1]}")
        return events[-1]

    async def _send(self, **fields: Any) -> list[Event]:
        return [item.event async for item in self._client.send_input(self._session_id, **fields)]


def _open_in(events: list[Event]) -> tuple[approval_pb2.Approval | None, list[str], str]:
    """What the last of these events leave open: an approval, calls to run, a question."""
    asked: approval_pb2.Approval | None = None
    ordered: list[str] = []
    question = ""
    for event in events:
        if event.HasField("approval_requested"):
            asked = event.approval_requested.approval
        if event.HasField("tool_calls_requested"):
            ordered = [call.id for call in event.tool_calls_requested.calls]
        if event.HasField("followup_asked"):
            question = event.followup_asked.followup_id
    return asked, ordered, question
