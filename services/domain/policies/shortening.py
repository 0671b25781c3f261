"""Shortening what a model is shown until it fits: long texts lose their middle, never a message, never half a pair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from services.domain.message import Message, MessageToolCall, Role
from services.domain.policies.arguments import ArgumentsError, parse_arguments
from services.domain.policies.token_estimate import message_tokens, text_tokens

LEAST = 60
"""Tokens to which nothing is shortened further."""
_OLD_RESULT = 300  # tokens of a result that is not among the newest messages
_NEWEST = 6  # messages
_SHARES = (4, 16, 64)  # one text may fill this part of the room, less from one try to the next


def total_tokens(messages: Sequence[Message]) -> int:
    """The tokens of the messages together."""
    return sum(map(message_tokens, messages))


def shortened_text(text: str, tokens: int) -> str:
    """The text, or its beginning and end with a mark of what is missing between them, in at most so many tokens.

    `tokens` is at least LEAST. Shortening a text again to the same length changes nothing.
    """
    if text_tokens(text) <= tokens:
        return text
    kept = len(text) * tokens // text_tokens(text)
    while True:
        head, tail = kept * 2 // 3, kept // 3
        mark = f"\n[… {len(text) - head - tail} characters left out to fit what the model can read …]\n"
        short = text[:head] + mark + text[len(text) - tail :]
        if text_tokens(short) <= tokens or kept == 0:
            return short
        kept = kept * 3 // 4


def result_limited(messages: Sequence[Message], room: int) -> list[Message]:
    """The messages with every tool result shortened that would fill much of the room alone."""
    longest = max(room // _SHARES[0], LEAST)
    return [_with_result(message, longest) for message in messages]


def trimmed(messages: Sequence[Message], room: int) -> tuple[Message, ...]:
    """The messages with tool results shortened, until they are within so many tokens or no result is left to shorten.

    Results that would fill much of the room alone come first, then old ones from the oldest on. Trimming twice is
    trimming once.
    """
    if total_tokens(messages) <= room:
        return tuple(messages)
    result = result_limited(messages, room)
    total = total_tokens(result)
    for position, message in enumerate(result[:-_NEWEST]):
        if total <= room:
            break
        result[position] = _with_result(message, min(_OLD_RESULT, max(room // _SHARES[0], LEAST)))
        total += message_tokens(result[position]) - message_tokens(message)
    return tuple(result)


def squeezed(messages: Sequence[Message], room: int, spared: str) -> tuple[Message, ...] | None:
    """The messages within so many tokens, whatever must be shortened for it except the message of the id `spared`.

    None if that cannot be done: there are too many of them, or the one that is spared is too long.
    """
    if total_tokens(messages) <= room:
        return tuple(messages)
    for share in _SHARES:
        most = max(room // share, LEAST)
        result = tuple(message if message.id == spared else _shortened(message, most) for message in messages)
        if total_tokens(result) <= room:
            return result
    return None


def _with_result(message: Message, tokens: int) -> Message:
    if message.role is not Role.TOOL:
        return message
    content = shortened_text(message.content, tokens)
    return message if content is message.content else replace(message, content=content)


def _shortened(message: Message, tokens: int) -> Message:
    calls = tuple(_with_short_arguments(call, tokens) for call in message.tool_calls)
    return replace(message, content=shortened_text(message.content, tokens), tool_calls=calls)


def _with_short_arguments(call: MessageToolCall, tokens: int) -> MessageToolCall:
    """Long texts among the arguments are shortened; what is left is an object still, as providers demand."""
    if text_tokens(call.arguments_json) <= tokens:
        return call
    try:
        arguments = parse_arguments(call.arguments_json)
    except ArgumentsError:
        return call
    each = max(tokens // max(len(arguments), 1), LEAST)
    short = {
        name: shortened_text(value if isinstance(value, str) else json.dumps(value), each)
        if text_tokens(json.dumps(value)) > each
        else value
        for name, value in arguments.items()
    }
    return replace(call, arguments_json=json.dumps(short, ensure_ascii=False))
