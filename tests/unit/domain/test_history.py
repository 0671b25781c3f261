"""Whatever is in a history, what the model is sent of it is one the provider takes (G7)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devtools.scripted_model.pairing import check_request
from services.domain.message import Message, MessageToolCall, Role
from services.domain.policies.history import valid_history
from services.infrastructure.llm.chat_format import message_to_chat

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def said(role: Role, text: str = "text") -> Message:
    return Message("m", role, text, NOW)


def called(*ids: str, text: str = "") -> Message:
    return Message("m", Role.ASSISTANT, text, NOW, tool_calls=tuple(MessageToolCall(id_, "tool", "{}") for id_ in ids))


def result(call_id: str, text: str = "result") -> Message:
    return Message("m", Role.TOOL, text, NOW, name="tool", tool_call_id=call_id)


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Anything, but for one thing that the database's key rules out: two calls of a session with the same id."""
    unused = [f"call_{n}" for n in range(8)]
    messages: list[Message] = []
    for _ in range(draw(st.integers(1, 12))):
        match draw(st.sampled_from(["said", "called", "result"])):
            case "said":
                messages.append(said(draw(st.sampled_from([Role.USER, Role.ASSISTANT, Role.SYSTEM]))))
            case "called" if unused:
                count = draw(st.integers(1, min(3, len(unused))))
                messages.append(called(*(unused.pop() for _ in range(count)), text=draw(st.sampled_from(["", "why"]))))
            case _:
                messages.append(result(f"call_{draw(st.integers(0, 8))}"))
    return messages


@given(histories())
@settings(deadline=None)
def test_any_history_is_mended_into_one_that_the_provider_takes(messages: list[Message]) -> None:
    mended = valid_history(messages)
    check_request({"model": "m", "messages": [message_to_chat(message) for message in mended]})
    assert [m for m in mended if m.role is not Role.TOOL and m in messages] == [
        m for m in messages if m.role is not Role.TOOL
    ], "something that was said is missing or moved"


@given(histories())
@settings(deadline=None)
def test_mending_twice_changes_nothing_more(messages: list[Message]) -> None:
    mended = valid_history(messages)
    assert valid_history(mended) == mended


def test_a_valid_history_stays_as_it_is() -> None:
    history = (said(Role.USER), called("a", "b"), result("a"), result("b"), said(Role.ASSISTANT), said(Role.USER))
    assert valid_history(history) == history


def test_results_come_right_behind_their_calls_in_the_order_of_the_calls() -> None:
    a, b = result("a"), result("b")
    assert valid_history([called("a", "b"), said(Role.USER), b, a]) == (called("a", "b"), a, b, said(Role.USER))


def test_a_missing_result_is_supplied_as_an_error() -> None:
    _, supplied, _ = valid_history([called("a"), said(Role.USER)])
    assert (supplied.role, supplied.tool_call_id, supplied.is_error) == (Role.TOOL, "a", True)


def test_a_result_without_a_call_becomes_text_that_is_not_lost() -> None:
    [mended] = valid_history([result("nobody", "precious")])
    assert (mended.role, mended.tool_call_id) == (Role.USER, None)
    assert "precious" in mended.content


def test_after_an_answer_that_was_cut_off_the_model_is_asked_to_go_on() -> None:
    cut_off = said(Role.ASSISTANT, "half a")
    history, asked_on = valid_history([said(Role.USER), cut_off])[:2], valid_history([said(Role.USER), cut_off])[2:]
    assert history == (said(Role.USER), cut_off)
    assert [message.role for message in asked_on] == [Role.USER]


def test_an_empty_history_stays_empty() -> None:
    assert valid_history([]) == ()


def asked(arguments: str) -> Message:
    return Message("m", Role.ASSISTANT, "", NOW, tool_calls=(MessageToolCall("a", "tool", arguments),))


def failed(call_id: str) -> Message:
    return Message("m", Role.TOOL, "not run: bad JSON", NOW, name="tool", tool_call_id=call_id, is_error=True)


@pytest.mark.parametrize("arguments", ["", "{", "[]", "null", '"text"', "[" * 100_000, "9" * 10_000])
def test_arguments_that_no_provider_reads_are_sent_as_none(arguments: str) -> None:
    mended, answer = valid_history([asked(arguments), failed("a")])
    assert mended.tool_calls[0].arguments_json == "{}"
    assert answer.content == "not run: bad JSON"


@pytest.mark.parametrize("arguments", ["{}", ' {"a" : 1} '])
def test_arguments_that_can_be_read_are_sent_to_the_letter(arguments: str) -> None:
    mended, _ = valid_history([asked(arguments), failed("a")])
    assert mended.tool_calls[0].arguments_json == arguments


def test_what_ran_is_never_changed() -> None:
    history = (asked("{"), result("a"))
    assert valid_history(history) == history
