"""Writes a session's events as a conversation that a person can read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from rich.console import Group
from rich.markdown import Markdown
from rich.padding import Padding
from rich.text import Text

from agent_runtime.v1.agent_context_pb2 import AgentSwitchSource, RoutingConfidence
from agent_runtime.v1.approval_pb2 import ApprovalState
from agent_runtime.v1.error_reason_pb2 import ErrorReason
from agent_runtime.v1.message_pb2 import (
    MESSAGE_ROLE_ASSISTANT,
    MESSAGE_ROLE_TOOL,
    MESSAGE_ROLE_USER,
    MESSAGE_STATE_INCOMPLETE,
    Message,
)
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.session_stream_pb2 import PartialMessage
from agent_runtime.v1.tool_pb2 import ToolCall
from agent_runtime.v1.turn_event_pb2 import TurnCompleted, TurnFailed
from agent_runtime.v1.turn_pb2 import FINISH_REASON_LENGTH, TurnCancellationCause
from client.chat.screen import Screen
from client.chat.tool_lines import call_line, failed, result_line
from client.chat.visible import one_line, visible
from client.reconnection import Reconnecting

_OUTCOMES = {
    ApprovalState.APPROVAL_STATE_APPROVED: "approved",
    ApprovalState.APPROVAL_STATE_APPROVED_WITH_EDITS: "approved with your edits",
    ApprovalState.APPROVAL_STATE_REJECTED: "rejected",
    ApprovalState.APPROVAL_STATE_EXPIRED: "nobody decided in time",
    ApprovalState.APPROVAL_STATE_SUPERSEDED: "withdrawn: a newer message replaced the turn",
    ApprovalState.APPROVAL_STATE_CANCELLED: "withdrawn: the turn was cancelled",
}


class _Enum(Protocol):
    def items(self) -> Sequence[tuple[str, int]]: ...


class Transcript:
    """One session on one screen. Everything shown comes from the log, so a resumed session looks like a live one."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._agent = ""
        self._streaming = ""  # the message whose deltas are on the screen
        self._style = ""
        self._last_text = ""  # the newest whole answer that was shown
        self._calls: dict[str, ToolCall] = {}
        self._started = time.monotonic()

    def event(self, event: SessionEvent) -> None:
        """Shows one event; many have nothing to show."""
        match event.WhichOneof("payload"):
            case "turn_started":
                self._agent = event.turn_started.agent
                self._started = time.monotonic()
                self.screen.busy("thinking …")
            case "turn_resumed":
                self._agent = event.turn_resumed.agent
                self.screen.busy("thinking …")
            case "agent_switched":
                self._switched(event)
            case "reasoning_delta":
                self._delta(event.reasoning_delta.message_id, event.reasoning_delta.text, "dim italic")
            case "text_delta":
                self._delta(event.text_delta.message_id, event.text_delta.text, "")
            case "attempt_restarted":
                if event.attempt_restarted.discarded_message_id == self._streaming:
                    self.screen.line("↻ the server was restarted; the answer above is void and begins anew", "yellow")
                self._streaming = ""
            case "message_added":
                self._message(event.message_added.message)
            case "tool_calls_requested":
                self._calls |= {call.id: call for call in event.tool_calls_requested.calls}
                self.screen.busy(", ".join(call_line(call) for call in event.tool_calls_requested.calls))
            case "approval_resolved":
                outcome = _OUTCOMES.get(event.approval_resolved.outcome, "settled")
                self.screen.line(f"  {outcome}", "dim")
            case "turn_completed":
                self._completed(event.turn_completed)
            case "turn_failed":
                self._failed(event.turn_failed)
            case "turn_cancelled":
                cause = _words(TurnCancellationCause, event.turn_cancelled.cause, "TURN_CANCELLATION_CAUSE_")
                self.screen.line("■ cancelled" if cause == "user" else f"■ ended: {cause}", "yellow")
            case "messages_cleared":
                self.screen.line("the history was cleared", "yellow")
            case "session_deleted":
                self.screen.line("the session was deleted", "yellow")

    def note(self, text: str, style: str = "yellow") -> None:
        """Something of the client's own to say."""
        self.screen.line(text, style)

    def reconnecting(self, news: Reconnecting) -> None:
        """Says once, and then only shows, that the connection is away."""
        cause = news.error.cause if news.error is not None else ""
        if cause and news.attempt == 1:
            self.screen.line(f"… there is no connection: {cause}; trying again", "yellow")
        elif not cause and news.attempt == 2:  # the first try is often enough and not worth a word
            self.screen.line("… the connection is away; coming back", "yellow")
        if news.attempt >= 2:
            self.screen.busy(f"connecting (try {news.attempt + 1}) …")

    def partial(self, message: PartialMessage, agent: str) -> None:
        """The answer so far of a turn that was joined in the middle."""
        self._agent = agent
        self._delta(message.message_id, message.reasoning, "dim italic")
        self._delta(message.message_id, message.text, "")

    def knows(self, call: ToolCall) -> None:
        """A call whose result will be shown, from before this client came."""
        self._calls[call.id] = call

    def history(self, messages: list[Message]) -> None:
        """Earlier messages, shortened."""
        for message in messages:
            if message.role == MESSAGE_ROLE_USER:
                self.screen.line(Text.assemble(("you ▸ ", "bold cyan"), one_line(message.content, 300)))
            elif message.role == MESSAGE_ROLE_ASSISTANT:
                self._calls |= {call.id: call for call in message.tool_calls}
                if message.content:
                    text = one_line(message.content, 600)
                    self.screen.line(Text.assemble((f"{message.agent} ▸ ", "bold green"), text))
            elif message.role == MESSAGE_ROLE_TOOL:
                self._tool_message(message)

    def _delta(self, message_id: str, text: str, style: str) -> None:
        if not text:
            return
        if message_id != self._streaming:
            self.screen.end_line()
            self.screen.stream(f"{self._agent or 'agent'} ▸ ", "bold green")
            self._streaming = message_id
            self._style = style
        elif style != self._style:
            self.screen.end_line()
            self._style = style
        self.screen.stream(text, style)

    def _message(self, message: Message) -> None:
        if message.role == MESSAGE_ROLE_TOOL:
            self._tool_message(message)
        elif message.role == MESSAGE_ROLE_ASSISTANT:
            self._agent = message.agent or self._agent
            if message.id != self._streaming:
                self._delta(message.id, message.content, "")
            self.screen.end_line()
            self._streaming = ""
            self._last_text = message.content
            self._calls |= {call.id: call for call in message.tool_calls}
            if message.state == MESSAGE_STATE_INCOMPLETE:
                self.screen.line("  (the answer was cut off here)", "dim")

    def _tool_message(self, message: Message) -> None:
        call = self._calls.pop(message.tool_call_id, None)
        said = call_line(call) if call else one_line(message.name, 64)
        mark, style = ("✗", "red") if failed(message) else ("✓", "dim green")
        line = Text.assemble((f"  {mark} ", style), (said, "dim"), (f" · {visible(result_line(message))}", "dim"))
        self.screen.line(line)

    def _switched(self, event: SessionEvent) -> None:
        switch = event.agent_switched
        self._agent = switch.to_agent
        source = _words(AgentSwitchSource, switch.source, "AGENT_SWITCH_SOURCE_")
        confidence = _words(RoutingConfidence, switch.confidence, "ROUTING_CONFIDENCE_")
        sure = "" if confidence == "unspecified" else f", {confidence} confidence"
        reason = f": {one_line(switch.reason, 200)}" if switch.reason else ""
        self.screen.line(
            Text.assemble(("→ ", "magenta"), (switch.to_agent, "bold magenta"), (f" ({source}{sure}){reason}", "dim"))
        )
        self.screen.busy("thinking …")

    def _completed(self, done: TurnCompleted) -> None:
        if done.result_text.strip() and done.result_text.strip() != self._last_text.strip():
            # A declared result was never streamed; it comes whole, so it can be laid out.
            title = Text(f"{self._agent or 'agent'} ▸ done", style="bold green")
            body = Markdown(visible(done.result_text), hyperlinks=False)
            self.screen.line(Group(title, Padding(body, (0, 2))))
        if done.finish_reason == FINISH_REASON_LENGTH:
            self.screen.line("  (the model ran into its token limit)", "yellow")
        usage = done.usage
        about = "about " if usage.estimated else ""
        seconds = time.monotonic() - self._started
        cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else ""
        tokens = f"{about}{usage.prompt_tokens:,} tokens in{cached}, {usage.completion_tokens:,} out"
        self.screen.line(f"  {self._agent or 'agent'} · {tokens} · {seconds:.1f} s", "dim")
        self._last_text = ""

    def _failed(self, failure: TurnFailed) -> None:
        reason = _words(ErrorReason, failure.reason, "ERROR_REASON_")
        later = f", worth another try in {failure.retry_delay.ToTimedelta().total_seconds():.0f} s"
        wait = later if failure.HasField("retry_delay") else ""
        way_out = " · /resume goes on from here" if failure.resumable else ""
        self.screen.line(f"■ failed: {failure.message} ({reason}{wait}){way_out}", "red")


def _words(enum: _Enum, value: int, prefix: str) -> str:
    """The value's name for people; its number if it is newer than this client."""
    names = {number: name for name, number in enum.items()}
    return names.get(value, str(value)).removeprefix(prefix).lower().replace("_", " ")
