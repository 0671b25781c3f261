"""Whatever a history holds, shortening it keeps every message and every pair, and it fits or says that it cannot."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.scripted_model.pairing import check_request
from services.domain.message import Message, MessageToolCall, Role
from services.domain.policies.history import valid_history
from services.domain.policies.shortening import LEAST, shortened_text, squeezed, total_tokens, trimmed
from services.domain.policies.token_estimate import message_tokens, text_tokens
from services.infrastructure.llm.chat_format import message_to_chat

NOW = datetime(2030, 1, 1, tzinfo=UTC)
rooms = st.integers(200, 6000)
pieces = st.sampled_from(["word ", "x = foo(bar)\n", "слово и дело ", "漢字", "👩‍👩‍👧 ", "\x00\u202e"])
texts = st.tuples(pieces, st.integers(1, 900)).map(lambda given: given[0] * given[1])


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """A conversation as the runtime writes them: answers with calls and their results, and what people say."""
    messages = [Message("m1", Role.USER, draw(texts), NOW, ordinal=1)]

    def add(role: Role, text: str, **fields: object) -> None:
        ordinal = len(messages) + 1
        messages.append(Message(f"m{ordinal}", role, text, NOW, ordinal=ordinal, **fields))  # type: ignore[arg-type]

    for turn in range(draw(st.integers(0, 12))):
        if draw(st.booleans()):
            ids = [f"c{turn}_{n}" for n in range(draw(st.integers(1, 3)))]
            made = [
                MessageToolCall(id_, "write_file", json.dumps({"path": "a", "content": draw(texts)})) for id_ in ids
            ]
            add(Role.ASSISTANT, "", tool_calls=tuple(made))
            for id_ in ids:
                add(Role.TOOL, draw(texts), name="write_file", tool_call_id=id_)
        else:
            add(draw(st.sampled_from([Role.USER, Role.ASSISTANT])), draw(texts))
    return messages


def check(messages: tuple[Message, ...]) -> None:
    """Raises RefusedRequestError unless the provider takes it."""
    check_request({"model": "m", "messages": [message_to_chat(message) for message in messages]})


@given(texts, st.integers(LEAST, 3000))
def test_a_text_is_short_enough_keeps_its_ends_and_is_not_shortened_twice(text: str, tokens: int) -> None:
    short = shortened_text(text, tokens)
    assert text_tokens(short) <= max(tokens, 0)
    assert short == text or (short[:1] == text[:1] or short.startswith("\n[…"))
    assert shortened_text(short, tokens) == short


@given(histories(), rooms)
@settings(deadline=None)
def test_trimming_touches_results_alone_and_trimming_twice_is_trimming_once(messages: list[Message], room: int) -> None:
    seen = valid_history(messages)
    short = trimmed(seen, room)
    check(short)
    assert [m.id for m in short] == [m.id for m in seen]
    for before, after in zip(seen, short, strict=True):
        assert before == after or before.role is Role.TOOL
        assert message_tokens(after) <= message_tokens(before)
    assert trimmed(short, room) == short
    if total_tokens(seen) <= room:
        assert short == seen


@given(histories(), rooms)
@settings(deadline=None)
def test_squeezing_fits_or_says_that_it_cannot_and_spares_what_the_user_said_last(
    messages: list[Message], room: int
) -> None:
    seen = valid_history(messages)
    spared = next(m for m in reversed(messages) if m.role is Role.USER)
    fitting = squeezed(seen, room, spared.id)
    if fitting is None:
        assert message_tokens(spared) + LEAST * len(seen) > room // 2, "it could have been done"
        return
    check(fitting)
    assert total_tokens(fitting) <= room
    assert [m.id for m in fitting] == [m.id for m in seen]
    assert spared in fitting
    for message in fitting:
        assert all(isinstance(json.loads(call.arguments_json), dict) for call in message.tool_calls)


def test_old_results_go_before_new_ones() -> None:
    history = [Message("u", Role.USER, "go", NOW)]
    for n in range(10):
        history.append(Message(f"a{n}", Role.ASSISTANT, "", NOW, tool_calls=(MessageToolCall(f"c{n}", "read", "{}"),)))
        history.append(Message(f"t{n}", Role.TOOL, "line\n" * 600, NOW, name="read", tool_call_id=f"c{n}"))
    short = trimmed(history, 8000)
    assert total_tokens(short) <= 8000
    lengths = [len(m.content) for m in short if m.role is Role.TOOL]
    assert lengths == sorted(lengths)
    assert lengths[0] < 1000
    assert lengths[-1] == 3000
    assert "characters left out" in short[2].content


@pytest.mark.parametrize("odd", ['"\\ud800"', "NaN", "1e999", '"a", "content": "b"'])
def test_arguments_that_were_refused_go_to_no_model(odd: str) -> None:
    call = MessageToolCall("c", "write_file", f'{{"path": "{"x" * 40_000}", "content": {odd}}}')
    refused = Message("m3", Role.TOOL, "no", NOW, ordinal=3, tool_call_id="c", name="write_file", is_error=True)
    messages = (
        Message("m1", Role.USER, "go", NOW, ordinal=1),
        Message("m2", Role.ASSISTANT, "", NOW, ordinal=2, tool_calls=(call,)),
        refused,
        Message("m4", Role.USER, "on", NOW, ordinal=4),
    )
    sent = squeezed(valid_history(messages), 500, "m4")
    assert sent is not None
    assert [each.arguments_json for message in sent for each in message.tool_calls] == ["{}"]
