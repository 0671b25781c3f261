"""Fragments find their tool call whatever the provider leaves out or repeats."""

from __future__ import annotations

import pytest

from services.domain.model_exchange import FinishReason, ToolCallFragment
from services.infrastructure.llm.failures import FailureKind, UpstreamError
from tests.unit.llm.wire import DONE, answer, call, delta, event, finish, parse


def calls(*body: bytes, taken: frozenset[str] = frozenset()) -> list[tuple[str, str, str]]:
    whole = answer(*body, finish("tool_calls"), DONE, taken_call_ids=taken)
    return [(c.id, c.name, c.arguments_json) for c in whole.tool_calls]


def test_parallel_calls_by_index() -> None:
    body = [call(0, "a", "f", ""), call(1, "b", "g", ""), call(2, "c", "h", "")]
    body += [call(n, None, None, '{"n":') for n in range(3)] + [call(n, None, None, f"{n}}}") for n in (2, 0, 1)]
    assert calls(*body) == [("a", "f", '{"n":0}'), ("b", "g", '{"n":1}'), ("c", "h", '{"n":2}')]


def test_fragments_carry_id_and_name() -> None:
    fragments, _ = parse([call(0, "a", "f", ""), call(0, None, None, '{"x"'), call(0, None, None, ":1}"), finish()])
    assert fragments == [
        ToolCallFragment("a", "f", ""),
        ToolCallFragment("a", "f", '{"x"'),
        ToolCallFragment("a", "f", ":1}"),
    ]


def test_a_name_that_comes_late_is_waited_for() -> None:
    fragments, _ = parse([call(0, "a", None, '{"x"'), call(0, None, "f", ":1"), call(0, None, None, "}"), finish()])
    assert fragments == [ToolCallFragment("a", "f", '{"x":1'), ToolCallFragment("a", "f", "}")]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ([call(0, "a", "f", "{"), call(5, "a", None, "}")], [("a", "f", "{}")]),
        ([call(0, "a", "f", "{"), call(0, "a", "f", "}")], [("a", "f", "{}")]),
        ([call(0, "a", "f", "{}"), call(0, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        ([call(None, "a", "f", "{}"), call(None, "b", "g", "{}")], [("a", "f", "{}"), ("b", "g", "{}")]),
        (
            [call(None, "a", "f", "{") + call(None, "b", "g", "{"), call(arguments="}"), call(None, "a", None, "}")],
            [("a", "f", "{}"), ("b", "g", "{}")],
        ),
        ([call(0, None, "f", "{"), call(0, None, None, "}")], [("call_t1_1", "f", "{}")]),
        ([call(None, None, "f", "{"), call(None, None, None, "}")], [("call_t1_1", "f", "{}")]),
        (
            [call(None, None, "f", "{}"), call(None, None, "f", "{}")],
            [("call_t1_1", "f", "{}"), ("call_t1_2", "f", "{}")],
        ),
        ([call(0, None, "f", "{}"), call(0, None, "g", "{}")], [("call_t1_1", "f", "{}"), ("call_t1_2", "g", "{}")]),
        ([call(0, None, "f", "{"), call(0, "late", None, "}")], [("call_t1_1", "f", "{}")]),
        ([call(0, "a", "f", "{}"), call(1, "a", "g", "{}")], [("a", "f", "{}"), ("call_t1_2", "g", "{}")]),
        (
            [call(0, "a", "f", "{}"), call(1, "a", "f", '{"'), call(1, "a", None, 'x":1}'), call(0, "a", None, " ")],
            [("a", "f", "{} "), ("call_t1_2", "f", '{"x":1}')],
        ),
        ([call(0, "a", "f", {"b": 1, "a": None})], [("a", "f", '{"a":null,"b":1}')]),
        ([call(0, "a", "f")], [("a", "f", "")]),
        ([call(0, "a", "f", '{"path": "a')], [("a", "f", '{"path": "a')]),
        (
            [call(0, "call_t1_2", "f", "{}"), call(1, None, "g", "{}")],
            [("call_t1_2", "f", "{}"), ("call_t1_2x", "g", "{}")],
        ),
        ([call(0, "a\x00", "f\x00", '{"x":"\x00"}')], [("a\ufffd", "f\ufffd", '{"x":"\ufffd"}')]),
    ],
)
def test_routing(body: list[bytes], expected: list[tuple[str, str, str]]) -> None:
    assert calls(*body) == expected


def test_an_id_of_the_history_is_not_used_again() -> None:
    assert calls(call(0, "old", "f", "{}"), taken=frozenset({"old"})) == [("call_t1_1", "f", "{}")]
    reused = [call(0, "old", "f", "{"), call(0, "old", None, "}")]
    assert calls(*reused, taken=frozenset({"old"})) == [("call_t1_1", "f", "{}")]


def test_calls_of_a_whole_completion() -> None:
    entries = [{"id": i, "function": {"name": "f", "arguments": "{}"}} for i in "abc"]
    body = event({"choices": [{"message": {"content": None, "tool_calls": entries}, "finish_reason": "tool_calls"}]})
    assert [c.id for c in answer(body).tool_calls] == ["a", "b", "c"]


@pytest.mark.parametrize("reason", ["stop", "tool_calls"])
def test_calls_count_whatever_the_finish_reason_says(reason: str) -> None:
    assert len(answer(call(0, "a", "f", "{}"), finish(reason)).tool_calls) == 1


def test_a_call_cut_by_length_says_so() -> None:
    assert answer(call(0, "a", "f", '{"x'), finish("length")).finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([call(None, None, None, "{}")], FailureKind.BAD_UPSTREAM),
        ([call(0, "a", None, "{}")], FailureKind.BAD_UPSTREAM),
        ([call(n, f"id{n}", "f", "{}") for n in range(33)], FailureKind.TOO_LARGE),
        ([call(0, "a", "f", "x" * 700_000), call(0, None, None, "x" * 700_000)], FailureKind.TOO_LARGE),
    ],
)
def test_refused(body: list[bytes], kind: FailureKind) -> None:
    with pytest.raises(UpstreamError) as refused:
        calls(*body)
    assert refused.value.kind is kind


def test_several_fragments_in_one_delta() -> None:
    both = delta({"tool_calls": [{"index": n, "id": i, "function": {"name": i}} for n, i in enumerate("ab")]})
    assert [c[0] for c in calls(both)] == ["a", "b"]
