"""What each role may carry: a message that breaks the rules cannot be made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.domain.errors import InvalidArgumentError
from services.domain.message import Message, MessageToolCall, Role

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CALL = MessageToolCall("call_1", "read_file", "{}")


def wrong_fields(role: Role, content: str, **fields: object) -> list[str]:
    with pytest.raises(InvalidArgumentError) as caught:
        Message("m1", role, content, NOW, **fields)  # type: ignore[arg-type]
    return [violation.field for violation in caught.value.violations]


@pytest.mark.parametrize("blank", ["", " ", "\n\t ", "\u3000"])
@pytest.mark.parametrize("role", [Role.USER, Role.SYSTEM, Role.ASSISTANT])
def test_blank_content_is_refused(role: Role, blank: str) -> None:
    assert wrong_fields(role, blank) == ["content"]


def test_an_assistant_message_may_be_empty_when_it_has_tool_calls() -> None:
    assert Message("m1", Role.ASSISTANT, "", NOW, tool_calls=(CALL,)).tool_calls == (CALL,)


@pytest.mark.parametrize("role", [Role.USER, Role.SYSTEM])
def test_only_an_assistant_message_may_have_tool_calls(role: Role) -> None:
    assert wrong_fields(role, "text", tool_calls=(CALL,)) == ["tool_calls"]


def test_a_tool_message_answers_a_call() -> None:
    assert wrong_fields(Role.TOOL, "text") == ["tool_call_id"]
    assert Message("m1", Role.TOOL, "text", NOW, tool_call_id="call_1").tool_call_id == "call_1"


@pytest.mark.parametrize("role", [Role.USER, Role.SYSTEM, Role.ASSISTANT])
def test_no_other_message_answers_a_call(role: Role) -> None:
    assert wrong_fields(role, "text", tool_call_id="call_1") == ["tool_call_id"]


@pytest.mark.parametrize("falsy", ["0", "false", "[]", "{}"])
def test_results_that_look_empty_are_real_content(falsy: str) -> None:
    assert Message("m1", Role.TOOL, falsy, NOW, tool_call_id="call_1").content == falsy


def test_every_wrong_field_is_named_at_once() -> None:
    assert wrong_fields(Role.TOOL, " ", tool_calls=()) == ["content", "tool_call_id"]
    assert wrong_fields(Role.USER, "text", tool_calls=(CALL,), tool_call_id="c") == ["tool_calls", "tool_call_id"]
