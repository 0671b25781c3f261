"""A summary replaces whole exchanges, never the first request or the last, and a later one replaces more."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.domain.context_summary import ContextSummary
from services.domain.message import Message, MessageToolCall, Role
from services.domain.policies.shortening import LEAST
from services.domain.policies.summarising import as_seen, cut_of, summary_of, transcript
from services.domain.policies.token_estimate import text_tokens
from tests.unit.domain.policies.test_shortening import check, histories, rooms

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def left_of(messages: list[Message], summary: ContextSummary | None) -> list[Message]:
    """What storage gives for the next call."""
    return [m for m in messages if summary is None or not summary.replaces(m.ordinal)]


@given(histories(), rooms)
@settings(deadline=None)
def test_cutting_again_and_again_ends_and_never_parts_a_pair(messages: list[Message], room: int) -> None:
    spoken = [m for m in messages if m.role is Role.USER]
    summary: ContextSummary | None = None
    gone: set[str] = set()
    for _ in range(len(messages) + 1):
        left = left_of(messages, summary)
        cut = cut_of(left, summary, room)
        if cut is None:
            break
        replaced = {m.id for m in cut.replaced}
        assert not replaced & {spoken[0].id, spoken[-1].id}
        assert replaced
        called = {call.id for m in cut.replaced for call in m.tool_calls}
        assert called == {m.tool_call_id for m in cut.replaced if m.role is Role.TOOL}
        assert text_tokens(transcript(cut, summary, max(room, LEAST))) <= max(room, LEAST)
        before = summary
        summary = summary_of(cut, summary, "so it was", room=room, create_time=NOW)
        gone |= replaced
        assert {m.id for m in messages} - {m.id for m in left_of(messages, summary)} == gone
        in_order = [m.id for m in messages if m.id in gone]
        assert (summary.first_message_id, summary.last_message_id) == (in_order[0], in_order[-1])
        assert before is None or summary.through > before.through
        assert len(summary.kept) <= 2
        seen = as_seen(left_of(messages, summary), summary)
        check(seen)
        assert [m.id for m in seen[:2]] == [spoken[0].id, f"summary_{summary.through}"]
    else:
        raise AssertionError("it goes on for ever")


@given(st.integers(2, 40), rooms)
def test_no_more_is_replaced_than_must_be(turns: int, room: int) -> None:
    messages = [
        Message(f"m{n}", Role.USER if n % 2 else Role.ASSISTANT, "word " * 100, NOW, ordinal=n)
        for n in range(1, 2 * turns)
    ]
    size = 171
    assume(len(messages) * size > room)
    cut = cut_of(messages, None, room)
    assert cut is not None
    stays = len(messages) - len(cut.replaced)
    assert stays * size <= room // 2 or stays == 2
    assert (stays + 1) * size > room // 2 or len(cut.replaced) == 1


def test_a_history_of_one_exchange_has_nothing_to_cut() -> None:
    call = MessageToolCall("c", "read_file", "{}")
    messages = [
        Message("m1", Role.USER, "read " * 999, NOW, ordinal=1),
        Message("m2", Role.ASSISTANT, "", NOW, ordinal=2, tool_calls=(call,)),
        Message("m3", Role.TOOL, "line " * 9999, NOW, ordinal=3, tool_call_id="c"),
    ]
    assert cut_of(messages, None, 100) is None


def test_what_the_user_said_last_stays_in_a_long_turn_and_is_replaced_in_the_next() -> None:
    def exchange(n: int) -> list[Message]:
        call = MessageToolCall(f"c{n}", "read_file", "{}")
        return [
            Message(f"m{n}", Role.ASSISTANT, "", NOW, ordinal=n, tool_calls=(call,)),
            Message(f"m{n + 1}", Role.TOOL, "line " * 300, NOW, ordinal=n + 1, tool_call_id=f"c{n}"),
        ]

    messages = [Message("m1", Role.USER, "first", NOW, ordinal=1), Message("m2", Role.ASSISTANT, "so", NOW, ordinal=2)]
    messages.append(Message("m3", Role.USER, "second", NOW, ordinal=3))
    for n in range(4, 14, 2):
        messages += exchange(n)
    cut = cut_of(messages, None, 1600)
    assert cut is not None
    assert cut.kept == (1, 3)
    summary = summary_of(cut, None, "the story so far", room=1600, create_time=NOW)
    seen = as_seen(left_of(messages, summary), summary)
    assert [m.content[:6] for m in seen[:1]] == ["first"]
    assert "the story so far" in seen[1].content
    assert seen[2].content == "second"
    messages.append(Message("m14", Role.USER, "third", NOW, ordinal=14))
    again = cut_of(left_of(messages, summary), summary, 600)
    assert again is not None
    assert again.kept == (1,)
    assert "m3" in {m.id for m in again.replaced}
    assert "the story so far" in transcript(again, summary, 1000)


def test_what_no_answer_has_taken_in_is_never_replaced() -> None:
    call = MessageToolCall("c", "read_file", "{}")
    messages = [
        Message("m1", Role.USER, "go", NOW, ordinal=1),
        Message("m2", Role.ASSISTANT, "I read. " * 999, NOW, ordinal=2),
        Message("m3", Role.ASSISTANT, "", NOW, ordinal=3, tool_calls=(call,)),
        Message("m4", Role.TOOL, "found " * 999, NOW, ordinal=4, tool_call_id="c", name="read_file"),
        Message("m5", Role.USER, "not there " * 999, NOW, ordinal=5),
        Message("m6", Role.USER, "and be quick", NOW, ordinal=6),
    ]
    cut = cut_of(messages, None, 500)
    assert cut is not None
    assert [each.id for each in cut.replaced] == ["m2"]
