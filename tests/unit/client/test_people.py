"""Who decides: a person, by what they type, or nobody, by rule."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from agent_runtime.v1.approval_pb2 import (
    DECISION_APPROVE,
    DECISION_APPROVE_WITH_EDITS,
    DECISION_REJECT,
    Approval,
)
from agent_runtime.v1.tool_event_pb2 import FollowupAsked, FollowupOption
from client.chat.bystander import Bystander
from client.chat.keyboard import Keyboard
from client.chat.person import APPROVED, InterruptedByPersonError, Verdict
from client.chat.person_at_terminal import SHOWN_LINES, PersonAtTerminal
from client.chat.screen import Screen
from client.tools.workspace import Workspace

COMMAND = Approval(
    tool_name="execute_command",
    arguments_json='{"command": "ls"}',
    display="execute_command",
    available_decisions=[DECISION_APPROVE, DECISION_APPROVE_WITH_EDITS, DECISION_REJECT],
)


class Typing(Keyboard):
    """A keyboard on which these lines are typed, and then Ctrl-D. `prefilled` is what edits began with."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self._lines = list(lines)
        self.prefilled: list[str] = []

    async def ask(self, prompt: str, *, prefill: str = "", fresh: bool = False) -> str:
        if prefill:
            self.prefilled.append(prefill)
        if not self._lines:
            raise EOFError
        return self._lines.pop(0)


def person(keyboard: Keyboard, workspace: Workspace) -> tuple[PersonAtTerminal, io.StringIO]:
    written = io.StringIO()
    screen = Screen(Console(file=written, width=120, highlight=False))
    return PersonAtTerminal(screen, keyboard, workspace), written


def question(*labels: str, free_text_allowed: bool = True) -> FollowupAsked:
    options = [FollowupOption(id=f"o-{label}", label=label) for label in labels]
    return FollowupAsked(followup_id="f", question="Which?", options=options, free_text_allowed=free_text_allowed)


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        (("y",), APPROVED),
        ((" YES ",), APPROVED),
        (("", "what", "yy", "y"), APPROVED),
        (("n", " because "), Verdict(DECISION_REJECT, "because")),
        (("n", ""), Verdict(DECISION_REJECT)),
        (("no not that one",), Verdict(DECISION_REJECT, "not that one")),
        (("e", "ls", "y"), APPROVED),
        (("e", "ls -l", "y"), Verdict(DECISION_APPROVE_WITH_EDITS, edited_arguments_json='{"command": "ls -l"}')),
        (("a", "y"), APPROVED),
    ],
)
async def test_a_person_decides_by_a_key(workspace: Workspace, typed: tuple[str, ...], verdict: Verdict) -> None:
    somebody, _ = person(Typing(*typed), workspace)
    assert await somebody.decide(COMMAND) == verdict


async def test_always_is_offered_only_where_it_can_be_remembered(workspace: Workspace) -> None:
    approval = Approval(tool_name="deploy", available_decisions=[DECISION_APPROVE, DECISION_REJECT], can_remember=True)
    somebody, _ = person(Typing("a"), workspace)
    assert await somebody.decide(approval) == Verdict(DECISION_APPROVE, for_session=True)


async def test_edits_go_on_from_edits(workspace: Workspace) -> None:
    keyboard = Typing("e", "ls -l", "e", "ls -la", "y")
    somebody, _ = person(keyboard, workspace)
    assert (await somebody.decide(COMMAND)).edited_arguments_json == '{"command": "ls -la"}'
    assert keyboard.prefilled == ["ls", "ls -l"]


async def test_the_end_of_the_input_approves_nothing(workspace: Workspace) -> None:
    for typed in ((), ("n",), ("e",)):
        somebody, _ = person(Typing(*typed), workspace)
        with pytest.raises(InterruptedByPersonError):
            await somebody.decide(COMMAND)


async def test_a_long_file_is_shown_whole_on_demand(workspace: Workspace) -> None:
    content = "".join(f"line {number}\n" for number in range(SHOWN_LINES + 5))
    approval = Approval(tool_name="write_file", arguments_json=json.dumps({"path": "a", "content": content}))
    somebody, written = person(Typing("v", "y"), workspace)
    await somebody.decide(approval)
    first, _, rest = written.getvalue().partition("… 5 more lines; v shows all")
    assert f"+line {SHOWN_LINES + 4}" not in first
    assert f"+line {SHOWN_LINES + 4}" in rest


async def test_hidden_characters_are_warned_of_before_the_question(workspace: Workspace) -> None:
    approval = Approval(tool_name="execute_command", arguments_json=json.dumps({"command": "ls \u202e"}))
    somebody, written = person(Typing("n", ""), workspace)
    await somebody.decide(approval)
    assert "hidden or misleading characters" in written.getvalue()
    assert "$ ls \\u202e" in written.getvalue()


async def test_a_person_answers_by_number_or_in_own_words(workspace: Workspace) -> None:
    somebody, _ = person(Typing("2", "0", "3", "", "my own"), workspace)
    assert (await somebody.answer(question("a", "b"))).option_id == "o-b"
    assert (await somebody.answer(question("a", "b"))).text == "0"
    assert (await somebody.answer(question("a", "b"))).text == "3"
    assert (await somebody.answer(question())).text == "my own"


async def test_own_words_are_not_taken_where_they_are_not_allowed(workspace: Workspace) -> None:
    somebody, _ = person(Typing("my own", "3", "1"), workspace)
    assert (await somebody.answer(question("a", "b", free_text_allowed=False))).option_id == "o-a"


async def test_nobody_approves_nothing_or_all_that_can_be_seen() -> None:
    assert (await Bystander(approve_all=False).decide(COMMAND)).decision == DECISION_REJECT
    approving = Bystander(approve_all=True)
    assert await approving.decide(COMMAND) == APPROVED
    again = await approving.decide(COMMAND)  # the approval was not taken
    assert again.decision == DECISION_REJECT
    hidden = Approval(tool_name="x", has_hidden_characters=True)
    assert (await Bystander(approve_all=True).decide(hidden)).decision == DECISION_REJECT


async def test_nobody_chooses_for_a_person() -> None:
    assert "Nobody is here" in (await Bystander(approve_all=True).answer(question("a"))).text
    with pytest.raises(InterruptedByPersonError):
        await Bystander(approve_all=True).answer(question("a", free_text_allowed=False))
