"""A message of a session's history: what each role may carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from services.domain.errors import FieldViolation, InvalidArgumentError


class Role(StrEnum):
    """Who speaks, in the words of the OpenAI chat format."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


@dataclass(frozen=True, slots=True)
class MessageToolCall:
    """One call inside an assistant message; `arguments_json` is the model's text, kept to the letter.

    Where a person edited the call, reads of the history show the arguments it ran with, marked `arguments_edited`.
    """

    id: str
    name: str
    arguments_json: str
    arguments_edited: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the history; never changed after it is written.

    `ordinal` counts the messages of a session from 1; it is 0 until the message is stored. `complete` is false for text
    that was cut off (a cancelled or failed answer). `reasoning` is kept apart; few models want it back.
    """

    id: str
    role: Role
    content: str
    create_time: datetime
    ordinal: int = 0
    turn_id: str | None = None
    agent: str | None = None
    name: str | None = None
    reasoning: str = ""
    tool_call_id: str | None = None
    tool_calls: tuple[MessageToolCall, ...] = ()
    is_error: bool = False
    complete: bool = True
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of what is said, thought and called."""
        texts = (self.content, self.reasoning, *(call.arguments_json for call in self.tool_calls))
        return sum(len(text.encode("utf-8", "replace")) for text in texts)

    def __post_init__(self) -> None:
        violations = list(_violations(self))
        if violations:
            raise InvalidArgumentError(violations)


def _violations(message: Message) -> list[FieldViolation]:
    found = []
    if not message.content.strip() and not message.tool_calls:
        found.append(FieldViolation("content", f"must not be blank in a {message.role} message without tool calls"))
    if message.tool_calls and message.role is not Role.ASSISTANT:
        found.append(FieldViolation("tool_calls", "only an assistant message may have tool calls"))
    if (message.role is Role.TOOL) != (message.tool_call_id is not None):
        found.append(FieldViolation("tool_call_id", "is required in a tool message and allowed in no other"))
    return found
