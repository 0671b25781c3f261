"""Which part of a history a summary should stand for, and what the model sees of a history that has one.

A cut never parts a tool call from its result. The user's first request and what the user said last stay word for word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from services.domain.context_summary import ContextSummary
from services.domain.message import Message, Role
from services.domain.policies.history import valid_history
from services.domain.policies.shortening import LEAST, result_limited, shortened_text, total_tokens
from services.domain.policies.token_estimate import text_tokens

_TAIL_SHARE = 2  # what stays word for word after a cut may fill one part in so many of the room
_LEAST_SHARE = 10  # less than one part in so many is not worth a summary
_LIMITS = (1000, 300, 100, LEAST)  # tokens of one message in a transcript, less from one try to the next
_HEADING = (
    "[Summary of the earlier part of this conversation, made because it had grown too long to be read whole. Everything"
    " it tells of has happened already; what follows here comes after it or is the request it works on.]"
)


@dataclass(frozen=True, slots=True)
class Cut:
    """The messages that a summary should replace, in order, and what is to be kept of those before the end of them."""

    replaced: tuple[Message, ...]
    kept: tuple[int, ...]


def as_seen(messages: Sequence[Message], summary: ContextSummary | None) -> tuple[Message, ...]:
    """What a model is sent of a history: valid (G7), with the summary in the place of what it replaces."""
    if summary is None:
        return valid_history(messages)
    left = [message for message in messages if not summary.replaces(message.ordinal)]
    first = left[:1] if left and left[0].ordinal < summary.first_ordinal else []
    told = Message(
        id=f"summary_{summary.through}",
        role=Role.USER,
        content=f"{_HEADING}\n\n{summary.text}",
        create_time=summary.create_time,
    )
    return valid_history([*first, told, *left[len(first) :]])


def cut_of(messages: Sequence[Message], summary: ContextSummary | None, room: int) -> Cut | None:
    """The shortest beginning whose replacement leaves enough room; None if too little that can be replaced is left.

    `messages` are those the model sees word for word, in order; `room` is what all of them may take, in tokens.
    """
    spoken = [message.ordinal for message in messages if message.role is Role.USER]
    pinned = {*spoken[:1], *spoken[-1:]}
    known = summary.through if summary is not None else 0
    units = _units(messages)
    sizes = [total_tokens(result_limited(unit, room)) for unit in units]
    firsts = list(accumulate(reversed([min(each.ordinal for each in unit) for unit in units]), min))[::-1]
    left = sum(sizes)
    through, stays, end, adds = 0, 0, 0, False
    for position, unit in enumerate(units[: min(_answered(units), len(units) - 1)]):
        through = max(through, *(each.ordinal for each in unit))
        left -= sizes[position]
        stays += sum(sizes[position] for each in unit if each.ordinal in pinned)
        adds = adds or any(each.ordinal > known and each.ordinal not in pinned for each in unit)
        # A result that came late may lie behind what comes after its answer: no clean cut there.
        if adds and through < firsts[position + 1]:
            end = position + 1
            if stays + left <= room // _TAIL_SHARE:
                break
    before = [message for unit in units[:end] for message in unit]
    replaced = tuple(message for message in before if message.ordinal not in pinned)
    if total_tokens(replaced) * _LEAST_SHARE < total_tokens(messages):
        return None
    return Cut(replaced, tuple(each.ordinal for each in before if each.ordinal in pinned))


def summary_of(
    cut: Cut, earlier: ContextSummary | None, text: str, *, room: int, create_time: datetime
) -> ContextSummary:
    """The record of a summary that replaces what the cut says, and all that an earlier one has replaced."""
    in_order = sorted(cut.replaced, key=lambda message: message.ordinal)
    first, last = in_order[0], in_order[-1]
    first_ordinal, first_id = first.ordinal, first.id
    if earlier is not None and earlier.first_ordinal < first_ordinal:
        first_ordinal, first_id = earlier.first_ordinal, earlier.first_message_id
    return ContextSummary(
        text=shortened_text(text, max(room // 4, LEAST)),
        through=last.ordinal,
        kept=tuple(ordinal for ordinal in cut.kept if ordinal < last.ordinal),
        first_ordinal=first_ordinal,
        first_message_id=first_id,
        last_message_id=last.id,
        create_time=create_time,
    )


def transcript(cut: Cut, earlier: ContextSummary | None, room: int) -> str:
    """What is to be summarised, as one text of at most so many tokens; `room` is at least LEAST."""
    before = f"[Summary of what came before]\n{earlier.text}\n\n" if earlier is not None else ""
    told = before
    for limit in _LIMITS:
        told = before + "\n\n".join(_told(message, limit) for message in cut.replaced)
        if text_tokens(told) <= room:
            return told
    return shortened_text(told, room)


def _told(message: Message, limit: int) -> str:
    who = f"{message.role.value} {message.name}" if message.name else message.role.value
    lines = [f"[{who}]", shortened_text(message.content, limit)] if message.content else [f"[{who}]"]
    lines += [f"[calls {call.name} {shortened_text(call.arguments_json, limit)}]" for call in message.tool_calls]
    return "\n".join(lines)


def _answered(units: Sequence[Sequence[Message]]) -> int:
    """How many of the units, from the first on, an answer has taken in; nobody has read the results that came last."""
    answers = [number for number, unit in enumerate(units) if any(each.role is Role.ASSISTANT for each in unit)]
    if not answers:
        return 0
    last = answers[-1]
    return last if any(each.tool_calls for each in units[last]) else last + 1


def _units(messages: Sequence[Message]) -> list[list[Message]]:
    """The messages in groups that must stay together: an answer with calls, and their results."""
    units: list[list[Message]] = []
    of_call: dict[str, list[Message]] = {}
    for message in messages:
        unit = of_call.get(message.tool_call_id or "") if message.role is Role.TOOL else None
        if unit is None:
            units.append(unit := [])
        unit.append(message)
        of_call.update({call.id: unit for call in message.tool_calls})
    return units
