"""What of a history a model may see: every tool call followed by exactly one result, every result by its call (G7).

The runtime writes valid histories; this is the last line of defence, and it mends in both directions, because a
provider refuses either half of a broken pair and the session would be dead for good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.domain.message import Message, MessageToolCall, Role
from services.domain.policies.arguments import ArgumentsError, parse_arguments

_NO_RESULT = "the call was interrupted; it has no result"


def valid_history(messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages in order, mended: a missing result is supplied as an error, a result without a call becomes user
    text.
    """
    results = {m.tool_call_id: m for m in messages if m.role is Role.TOOL}
    called: set[str] = set()
    valid: list[Message] = []
    for message in messages:
        if message.role is Role.TOOL:
            if message.tool_call_id not in called:
                valid.append(_as_text(message))
            continue
        valid.append(_with_readable_arguments(message, results))
        for call in message.tool_calls:
            called.add(call.id)
            answer = results.get(call.id)
            valid.append(answer if answer is not None else _missing(message, call.id, call.name))
    if valid and valid[-1].role is Role.ASSISTANT:
        valid.append(_go_on(valid[-1]))
    return tuple(valid)


def _go_on(cut_off: Message) -> Message:
    """What follows an answer that was cut off when its work is taken up again: providers want somebody else to speak
    last.
    """
    return Message(
        id=f"{cut_off.id}_go_on",
        role=Role.USER,
        content="[The answer above was cut off. Go on with the task from there; do not repeat what was done.]",
        create_time=cut_off.create_time,
    )


def _with_readable_arguments(message: Message, results: Mapping[str | None, Message]) -> Message:
    """Arguments that are no JSON object make some providers refuse the whole history; the call's result says why it was
    not run.
    """
    if not any(_is_unreadable(call, results) for call in message.tool_calls):
        return message
    calls = (
        replace(call, arguments_json="{}") if _is_unreadable(call, results) else call for call in message.tool_calls
    )
    return replace(message, tool_calls=tuple(calls))


def _is_unreadable(call: MessageToolCall, results: Mapping[str | None, Message]) -> bool:
    answer = results.get(call.id)
    if answer is not None and not answer.is_error:
        return False  # it ran, so it was read
    try:
        parse_arguments(call.arguments_json)
    except ArgumentsError:
        return True
    return False


def _missing(message: Message, call_id: str, name: str) -> Message:
    return Message(
        id=f"{message.id}_{call_id}",
        role=Role.TOOL,
        content=_NO_RESULT,
        create_time=message.create_time,
        name=name,
        tool_call_id=call_id,
        is_error=True,
    )


def _as_text(message: Message) -> Message:
    text = f"[result of an earlier tool call {message.name or ''}]\n{message.content}"
    return replace(message, role=Role.USER, content=text, tool_call_id=None, name=None)
