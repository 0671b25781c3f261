"""The person's client in one session: says, runs, decides, and shows what comes of it as it comes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from rich.text import Text

from agent_runtime.v1.approval_pb2 import DECISION_APPROVE, DECISION_APPROVE_WITH_EDITS, DECISION_REJECT, Approval
from agent_runtime.v1.input_pb2 import ApprovalDecision, ToolResult, ToolResults, UserMessage
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.tool_pb2 import ToolCall
from client.chat.approval_view import approval_view
from client.chat.screen import Screen
from client.chat.transcript import Transcript
from client.errors import RuntimeCallError
from client.runtime_client import Input, RuntimeClient
from client.tools.toolbox import Toolbox

Events = list[SessionEvent]


class Dialogue:
    """One session on one screen. Methods return the events of their stream; `seen` holds those of all of them."""

    def __init__(self, client: RuntimeClient, session_id: str, toolbox: Toolbox, screen: Screen) -> None:
        self.session_id = session_id
        self.seen: Events = []
        self._client = client
        self._toolbox = toolbox
        self._screen = screen
        self._transcript = Transcript(screen)

    async def say(self, words: str, *, request_id: str = "") -> Events:
        """Sends a message."""
        self._screen.line()
        self._screen.line(Text.assemble(("you ▸ ", "bold cyan"), words))
        return await self.send(UserMessage(text=words), request_id=request_id)

    async def run(self, calls: Sequence[ToolCall]) -> list[ToolResult]:
        """Really runs calls in the workspace, at the same time; the results are in their order and not sent yet."""
        return await self._toolbox.run(calls, at_once=True)

    async def report(self, *results: ToolResult) -> Events:
        """Sends results."""
        return await self.send(ToolResults(results=results))

    async def approve(self, approval: Approval) -> Events:
        """Approves a call as it is."""
        return await self._decide(approval, ApprovalDecision(decision=DECISION_APPROVE), "yes")

    async def approve_with_edits(self, approval: Approval, arguments_json: str, why: str) -> Events:
        """Shows what is approved instead of what was asked for, and approves that."""
        self._screen.line(Text.assemble(("you ▸ ", "bold cyan"), f"edit: {why}"))
        self.show(approval, arguments_json)
        edit = ApprovalDecision(
            decision=DECISION_APPROVE_WITH_EDITS, edited_arguments_json=arguments_json, feedback=why
        )
        return await self._decide(approval, edit, "yes, like this")

    async def reject(self, approval: Approval, feedback: str) -> Events:
        """Rejects a call with words for the model."""
        return await self._decide(
            approval, ApprovalDecision(decision=DECISION_REJECT, feedback=feedback), f"no: {feedback}"
        )

    async def send(
        self,
        what: Input,
        *,
        request_id: str = "",
        after_each: Callable[[SessionEvent], Awaitable[None]] | None = None,
    ) -> Events:
        """Sends any input and shows what comes of it, to the end or the pause of the turn.

        `after_each` is told of every event before the next one is read.
        """
        events: Events = []
        stream = self._client.send(self.session_id, what, request_id=request_id)
        async with aclosing(stream):
            async for event in stream:
                events.append(event)
                self._transcript.event(event)
                if after_each is not None:
                    await after_each(event)
        self._screen.end_line()
        self.seen += events
        return events

    def note(self, words: str) -> None:
        """Says what happens around the conversation."""
        self._screen.line(f"  ⚡ {words}", "yellow")

    def show(self, approval: Approval, arguments_json: str = "") -> None:
        """Shows what a call would do, with other arguments if some are given."""
        view = approval_view(approval, arguments_json or approval.arguments_json, self._toolbox.workspace)
        self._screen.line()
        self._screen.line(view.title)
        for line in view.lines:
            self._screen.line(Text.assemble("  ", line))

    async def _decide(self, approval: Approval, decision: ApprovalDecision, words: str) -> Events:
        decision.approval_id = approval.id
        decision.arguments_hash = approval.arguments_hash
        self._screen.line(Text.assemble(("you ▸ ", "bold cyan"), words))
        return await self.send(decision)


async def refusal(call: Awaitable[object]) -> str:
    """The reason a call is refused with; `accepted` if it is not."""
    try:
        await call
    except RuntimeCallError as error:
        return error.reason or error.code.name
    return "accepted"
