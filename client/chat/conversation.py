"""Follows one turn after the other: shows the log, runs what is ordered, asks the person where one is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from enum import Enum, auto

from agent_runtime.v1.approval_pb2 import REMEMBER_NONE, REMEMBER_SESSION, Approval
from agent_runtime.v1.input_pb2 import ApprovalDecision, ToolResult, ToolResults
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.session_stream_pb2 import SessionSnapshot, StreamGap
from agent_runtime.v1.tool_event_pb2 import TOOL_EXECUTION_MODE_PARALLEL, FollowupAsked
from agent_runtime.v1.tool_pb2 import ToolCall
from agent_runtime.v1.turn_event_pb2 import TurnPaused
from agent_runtime.v1.turn_pb2 import WAIT_REASON_BUDGET
from client.chat.person import InterruptedByPersonError, Person
from client.chat.transcript import Transcript
from client.errors import RuntimeCallError
from client.runtime_client import Input, RuntimeClient
from client.tools.toolbox import Toolbox

# Results of one batch share a message, but for what does not fit into its 8 MiB.
_RESULTS_BYTES = 4 << 20
_MAX_RESULTS = 32


class Outcome(Enum):
    """How it ended for this client."""

    COMPLETED = auto()
    FAILED = auto()
    CANCELLED = auto()
    PAUSED = auto()  # for a budget: only `Resume` or a new message goes on
    LEFT = auto()  # nobody follows the turn any more; it may go on


class Conversation:
    """One session with one person and one workspace.

    Runs tools only for turns it has started or was told to `join`: whoever else watches the session leaves them alone.
    Use from one task at a time; only `interrupt` may be called meanwhile. Methods raise RuntimeCallError.
    """

    def __init__(
        self, client: RuntimeClient, session_id: str, toolbox: Toolbox, person: Person, transcript: Transcript
    ) -> None:
        self.session_id = session_id
        self.result_text = ""
        self._client = client
        self._toolbox = toolbox
        self._person = person
        self._transcript = transcript
        self._handled = 0
        self._turn_id = ""
        self._approvals: dict[str, Approval] = {}
        self._followup: FollowupAsked | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._action: asyncio.Task[Outcome] | None = None
        self._cancelling = False

    @property
    def is_busy(self) -> bool:
        """Whether a turn is being followed."""
        return self._action is not None

    async def join(self) -> bool:
        """Takes the session up where it stands; True if a turn is active, which `go_on` then follows."""
        async with aclosing(self._client.watch(self.session_id)) as items:
            snapshot = await anext(items)
        assert isinstance(snapshot, SessionSnapshot)
        self._handled = snapshot.as_of_sequence
        self._forget_turn()
        if not snapshot.HasField("active_turn"):
            return False
        turn = snapshot.active_turn
        self._turn_id = turn.id
        self._transcript.partial(snapshot.partial_message, turn.agent)
        for pending in snapshot.pending_approvals:
            self._approvals[pending.id] = await self._client.approval(self.session_id, pending.id)
        if snapshot.HasField("open_followup"):
            self._followup = snapshot.open_followup
        calls = [open_call.call for open_call in snapshot.open_tool_calls if not open_call.speculative]
        for call in calls:
            self._transcript.knows(call)
        if calls:
            self._run(calls, at_once=False)
        return True

    async def catch_up(self) -> None:
        """Shows what has happened since, and does nothing about it."""
        async with aclosing(
            self._client.watch(self.session_id, after_sequence=self._handled, stop_at_head=True)
        ) as items:
            async for item in items:
                if isinstance(item, SessionEvent):
                    self._handled = item.sequence
                    self._transcript.event(item)

    async def say(self, what: Input) -> Outcome:
        """Gives the session an input and follows its turn to the end."""
        self._forget_turn()
        return await self._interruptible(self._say(what))

    async def go_on(self) -> Outcome:
        """Follows the turn that `join` found."""
        return await self._interruptible(self._go_on())

    def interrupt(self) -> None:
        """Cancels the turn; if it is being cancelled already, or none is known yet, stops following."""
        if self._action is None:
            return
        if self._cancelling or not self._turn_id:
            self._action.cancel()
            return
        self._start_cancel()

    async def _interruptible(self, action: Coroutine[None, None, Outcome]) -> Outcome:
        self._action = asyncio.create_task(action)
        try:
            # Not awaited directly: a cancelled action is an outcome, while our own cancellation goes on.
            await asyncio.wait({self._action})
            return Outcome.LEFT if self._action.cancelled() else self._action.result()
        finally:
            self._action.cancel()
            self._action = None
            for task in self._background:
                task.cancel()
            await asyncio.gather(*self._background, return_exceptions=True)
            await self._toolbox.end_all()

    async def _say(self, what: Input) -> Outcome:
        accepted = await self._client.submit(self.session_id, what)
        self._turn_id = accepted.turn_id
        return await self._follow()

    async def _go_on(self) -> Outcome:
        await self._ask_the_person()
        return await self._follow()

    async def _follow(self) -> Outcome:
        async with aclosing(self._client.watch(self.session_id, after_sequence=self._handled)) as items:
            async for item in items:
                match item:
                    case SessionSnapshot():
                        pass  # after a cleared history, which needs no active turn: nothing is open
                    case StreamGap():
                        self._handled = item.to_sequence
                    case SessionEvent():
                        self._handled = item.sequence
                        self._transcript.event(item)
                        outcome = await self._handle(item)
                        if outcome is not None:
                            return outcome
        return Outcome.LEFT

    async def _handle(self, event: SessionEvent) -> Outcome | None:
        """Does what the event asks for; the outcome, if it ends our turn."""
        if event.turn_id != self._turn_id:
            return None
        match event.WhichOneof("payload"):
            case "tool_calls_requested" if not event.tool_calls_requested.speculative:
                order = event.tool_calls_requested
                self._run(order.calls, at_once=order.execution_mode == TOOL_EXECUTION_MODE_PARALLEL)
            case "approval_requested":
                self._approvals[event.approval_requested.approval.id] = event.approval_requested.approval
            case "approval_resolved":
                self._approvals.pop(event.approval_resolved.approval_id, None)
            case "followup_asked":
                self._followup = event.followup_asked
            case "turn_paused":
                return await self._paused(event.turn_paused)
            case "turn_completed":
                self.result_text = event.turn_completed.result_text
                return Outcome.COMPLETED
            case "turn_failed":
                return Outcome.FAILED
            case "turn_cancelled":
                return Outcome.CANCELLED
        return None

    async def _paused(self, pause: TurnPaused) -> Outcome | None:
        if list(pause.waiting_for) == [WAIT_REASON_BUDGET]:
            self._transcript.note("the turn has used up its limits; /resume goes on")
            return Outcome.PAUSED
        if not self._cancelling:
            await self._ask_the_person()
        return None

    async def _ask_the_person(self) -> None:
        """Everything that waits for a person, approvals first. What was asked once is not asked again."""
        try:
            while self._approvals:
                approval_id = next(iter(self._approvals))
                await self._decide(self._approvals[approval_id])
                self._approvals.pop(approval_id, None)
            if self._followup is not None:
                question, self._followup = self._followup, None
                await self._answer(question)
        except InterruptedByPersonError:
            self._start_cancel()

    async def _decide(self, approval: Approval) -> None:
        while True:
            verdict = await self._person.decide(approval)
            decision = ApprovalDecision(
                approval_id=approval.id,
                arguments_hash=approval.arguments_hash,
                decision=verdict.decision,
                feedback=verdict.feedback,
                edited_arguments_json=verdict.edited_arguments_json,
                remember=REMEMBER_SESSION if verdict.for_session else REMEMBER_NONE,
            )
            try:
                await self._client.decide(self.session_id, decision)
                return
            except RuntimeCallError as error:
                self._transcript.note(f"  not taken: {error.message}")
                if error.reason != "INVALID_ARGUMENT":  # it is over, or not ours to decide; the log will tell
                    return

    async def _answer(self, question: FollowupAsked) -> None:
        answer = await self._person.answer(question)
        try:
            await self._client.answer(self.session_id, answer)
        except RuntimeCallError as error:
            self._transcript.note(f"  not taken: {error.message}")

    def _run(self, calls: Sequence[ToolCall], *, at_once: bool) -> None:
        """Runs the calls beside the stream and sends their results."""
        self._in_background(self._run_and_send(calls, at_once=at_once), "tools")

    async def _run_and_send(self, calls: Sequence[ToolCall], *, at_once: bool) -> None:
        results = await self._toolbox.run(calls, at_once=at_once)
        for group in _groups(results):
            try:
                accepted = await self._client.submit(self.session_id, ToolResults(results=group))
            except RuntimeCallError as error:
                self._transcript.note(f"  results not taken: {error.message}")
            else:
                for rejected in accepted.rejected_results:
                    self._transcript.note(f"  result not taken: {rejected.message}")

    def _start_cancel(self) -> None:
        self._cancelling = True
        self._transcript.note("cancelling …", "dim")
        self._in_background(self._cancel(self._turn_id), "cancel")

    async def _cancel(self, turn_id: str) -> None:
        try:
            await self._client.cancel(self.session_id, turn_id)
        except RuntimeCallError as error:
            if error.reason != "TURN_NOT_ACTIVE":
                self._transcript.note(f"  not cancelled: {error.message}")

    def _in_background(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=f"{name} of {self._turn_id}")
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _forget_turn(self) -> None:
        self._turn_id = ""
        self._approvals.clear()
        self._followup = None
        self._cancelling = False
        self.result_text = ""


def _groups(results: Sequence[ToolResult]) -> list[list[ToolResult]]:
    """The results in their order, in groups that fit a message."""
    groups: list[list[ToolResult]] = []
    size = 0
    for result in results:
        if not groups or len(groups[-1]) == _MAX_RESULTS or size + result.ByteSize() > _RESULTS_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(result)
        size += result.ByteSize()
    return groups
