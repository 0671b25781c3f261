"""Asks the person at the keyboard, who is shown what a call would really do."""

from __future__ import annotations

from rich.text import Text

from agent_runtime.v1.approval_pb2 import (
    DECISION_APPROVE,
    DECISION_APPROVE_WITH_EDITS,
    DECISION_REJECT,
    Approval,
)
from agent_runtime.v1.input_pb2 import FollowupAnswer
from agent_runtime.v1.tool_event_pb2 import FollowupAsked
from client.chat.approval_view import ApprovalView, approval_view
from client.chat.arguments_editor import NothingEditedError, edited_arguments
from client.chat.keyboard import Keyboard
from client.chat.line_editing import prompt
from client.chat.person import InterruptedByPersonError, Verdict
from client.chat.screen import Screen
from client.chat.visible import visible
from client.tools.workspace import Workspace

SHOWN_LINES = 120
_MAX_FEEDBACK = 4000


class PersonAtTerminal:
    """A person with a screen and a keyboard."""

    def __init__(self, screen: Screen, keyboard: Keyboard, workspace: Workspace) -> None:
        self._screen = screen
        self._keyboard = keyboard
        self._workspace = workspace

    async def decide(self, approval: Approval) -> Verdict:
        """Shows the call and asks until there is a decision."""
        arguments_json = approval.arguments_json
        view = self._show(approval, arguments_json)
        while True:
            edited = arguments_json != approval.arguments_json
            key, _, rest = (await self._ask(_choices(approval, view), fresh=True)).strip().partition(" ")
            match key.lower():
                case "y" | "yes" if edited:
                    return Verdict(DECISION_APPROVE_WITH_EDITS, edited_arguments_json=arguments_json)
                case "y" | "yes":
                    return Verdict(DECISION_APPROVE)
                case "a" if approval.can_remember and not edited:
                    return Verdict(DECISION_APPROVE, for_session=True)
                case "n" | "no":
                    reason = rest.strip() or await self._ask("  why? (Enter for no reason) ▸ ")
                    return Verdict(DECISION_REJECT, reason.strip()[:_MAX_FEEDBACK])
                case "e" if DECISION_APPROVE_WITH_EDITS in approval.available_decisions:
                    try:
                        arguments_json = await self._edit(approval.tool_name, arguments_json)
                    except NothingEditedError as why:
                        self._screen.line(f"  {why}", "yellow")
                    else:
                        view = self._show(approval, arguments_json)
                case "v":
                    self._lines(view, len(view.lines))

    async def answer(self, question: FollowupAsked) -> FollowupAnswer:
        """Shows the question and asks until there is an answer."""
        self._screen.line(f"? {question.question}", "bold")
        for number, option in enumerate(question.options, start=1):
            about = f": {option.description}" if option.description else ""
            self._screen.line(f"  {number}. {option.label}{about}")
        hint = f"  1 to {len(question.options)}" if question.options else "  your answer"
        hint += ", or your own words" if question.options and question.free_text_allowed else ""
        while True:
            typed = (await self._ask(f"{hint} ▸ ", fresh=True)).strip()
            if typed.isdecimal() and 1 <= int(typed) <= len(question.options):
                return FollowupAnswer(followup_id=question.followup_id, option_id=question.options[int(typed) - 1].id)
            if typed and question.free_text_allowed:
                return FollowupAnswer(followup_id=question.followup_id, text=typed)

    def _show(self, approval: Approval, arguments_json: str) -> ApprovalView:
        view = approval_view(approval, arguments_json, self._workspace)
        self._screen.line()
        self._screen.line(view.title)
        if approval.reason:
            self._screen.line(f"  {approval.reason}", "dim")
        self._lines(view, SHOWN_LINES)
        if len(view.lines) > SHOWN_LINES:
            self._screen.line(f"  … {len(view.lines) - SHOWN_LINES} more lines; v shows all", "yellow")
        if view.hides_something:
            self._screen.line("  ⚠ it holds hidden or misleading characters, shown here as \\x… or \\u…", "bold red")
        return view

    def _lines(self, view: ApprovalView, count: int) -> None:
        for line in view.lines[:count]:
            self._screen.line(Text.assemble("  ", line))

    async def _edit(self, tool_name: str, arguments_json: str) -> str:
        try:
            return await edited_arguments(tool_name, arguments_json, self._keyboard)
        except EOFError:
            raise InterruptedByPersonError from None

    async def _ask(self, question: str, *, fresh: bool = False) -> str:
        self._screen.end_line()
        try:
            return await self._keyboard.ask(prompt(visible(question), "yellow"), fresh=fresh)
        except EOFError:
            raise InterruptedByPersonError from None


def _choices(approval: Approval, view: ApprovalView) -> str:
    keys = ["[y]es", "[n]o"]
    if DECISION_APPROVE_WITH_EDITS in approval.available_decisions:
        keys.append("[e]dit")
    if approval.can_remember:
        keys.append("[a]lways in this session")
    if len(view.lines) > SHOWN_LINES:
        keys.append("[v]iew all")
    return f"  {'  '.join(keys)} ▸ "
