"""What counts as an answer and what as a failure, over the oddities of real providers."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.domain.errors import ErrorReason
from services.domain.model_exchange import (
    FinishReason,
    ModelAnswer,
    ReasoningFragment,
    TextFragment,
    Usage,
)
from services.infrastructure.llm.assembly import AnswerAssembler
from services.infrastructure.llm.failures import FailureKind, UpstreamError
from services.infrastructure.llm.sse import SseDecoder
from tests.unit.llm.wire import DONE, answer, call, delta, event, finish, parse, text


def failure(*body: bytes) -> UpstreamError:
    with pytest.raises(UpstreamError) as failed:
        answer(*body)
    return failed.value


class TestText:
    def test_arrives_in_fragments_and_whole(self) -> None:
        fragments, whole = parse([text("Hel") + text("lo 🌍") + finish() + DONE])
        assert fragments == [TextFragment("Hel"), TextFragment("lo 🌍")]
        assert (whole.text, whole.finish_reason, whole.model) == ("Hello 🌍", FinishReason.STOP, "asked")

    def test_reasoning_is_kept_apart(self) -> None:
        thoughts = delta({"reasoning_content": "hm "}) + delta({"reasoning": "well"})
        fragments, whole = parse([thoughts + text("yes") + finish() + DONE])
        assert fragments == [ReasoningFragment("hm "), ReasoningFragment("well"), TextFragment("yes")]
        assert (whole.text, whole.reasoning) == ("yes", "hm well")

    def test_text_in_parts_is_joined_and_thinking_left_out(self) -> None:
        parts = [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
        fragments, whole = parse([delta({"content": parts}), delta({"content": parts[:1]}), finish()])
        assert fragments == [TextFragment("ab")]
        assert whole.text == "ab"

    def test_nothing_is_not_a_fragment(self) -> None:
        nothing = [
            delta({"role": "assistant", "content": None}),
            delta(None),
            event({"choices": [{"index": 0}]}),
            event({"choices": None}),
            event({"choices": []}),
            event({"error": None, "choices": [{"delta": {"tool_calls": None}, "finish_reason": ""}]}),
            delta({"content": ""}) * 10_000,
        ]
        fragments, whole = parse([*nothing, text("a"), finish(), DONE])
        assert fragments == [TextFragment("a")]
        assert whole.text == "a"

    def test_nul_and_lone_surrogates_are_replaced(self) -> None:
        body = rb'data: {"choices":[{"delta":{"content":"a\u0000b\ud800c"}}]}' + b"\n\n"
        assert answer(body, finish()).text == "a\ufffdb\ufffdc"

    def test_only_the_first_choice_counts(self) -> None:
        other = event({"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "!"}}]})
        assert answer(text("yes"), other, finish()).text == "yes!"

    def test_a_refusal_is_shown_and_marked(self) -> None:
        refused = answer(delta({"refusal": "I must not."}), finish())
        assert (refused.text, refused.refusal) == ("I must not.", True)

    def test_a_whole_completion_is_an_answer(self) -> None:
        fragments, whole = parse(
            [event({"model": "m", "choices": [{"message": {"content": "all"}, "finish_reason": "stop"}]})]
        )
        assert fragments == [TextFragment("all")]
        assert (whole.text, whole.model) == ("all", "m")

    def test_more_than_1_mib_is_refused(self) -> None:
        assert failure(*[delta({"reasoning": "ü" * 300_000}), text("x" * 500_000)]).kind is FailureKind.TOO_LARGE


class TestEnd:
    @pytest.mark.parametrize("end", [finish(), finish() + DONE, finish() + b"data: [DONE]", finish()[:-2]])
    def test_complete_with_finish_reason(self, end: bytes) -> None:
        assert answer(text("a"), end).finish_reason is FinishReason.STOP

    def test_done_without_finish_reason_is_an_end_of_unknown_cause(self) -> None:
        assert answer(text("a"), DONE).finish_reason is FinishReason.UNKNOWN
        kept = answer(call(0, "a", "f", '{"x":1}'), DONE)
        assert kept.finish_reason is FinishReason.UNKNOWN
        assert len(kept.tool_calls) == 1

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b": ping\n\n",
            text("par"),
            text("par") + b"data: [DO",
            text("par") + finish()[:-9],
            call(0, "a", "f", '{"x":') + DONE,
            call(0, "a", "f", '{"x":1}'),
        ],
    )
    def test_an_end_without_finish_reason_is_a_truncation(self, body: bytes) -> None:
        failed = failure(body)
        assert failed.kind is FailureKind.TRUNCATED
        assert failed.retryable

    @pytest.mark.parametrize(
        ("word", "meaning"),
        [
            ("length", FinishReason.LENGTH),
            ("content_filter", FinishReason.CONTENT_FILTER),
            ("end_turn", FinishReason.STOP),
            ("eos", FinishReason.STOP),
            ("function_call", FinishReason.STOP),
            ("tool_calls", FinishReason.STOP),
            ("whatever", FinishReason.UNKNOWN),
            (["list"], FinishReason.UNKNOWN),
        ],
    )
    def test_finish_reasons_of_a_text(self, word: object, meaning: FinishReason) -> None:
        assert answer(text("a"), finish(word), DONE).finish_reason is meaning

    def test_an_empty_answer_is_none(self) -> None:
        assert failure(finish()).reason is ErrorReason.LLM_BAD_RESPONSE
        assert failure(text(" \n"), finish("tool_calls"), DONE).kind is FailureKind.BAD_UPSTREAM
        assert answer(finish("content_filter")).finish_reason is FinishReason.CONTENT_FILTER
        assert answer(finish("length")).finish_reason is FinishReason.LENGTH

    def test_every_cut_of_a_stream_is_a_truncation_until_it_has_finished(self) -> None:
        body = text("a🌍") + call(0, "x", "f", "{}")
        end = finish("tool_calls")
        for cut in range(len(body) + len(end) - len(b"\n\n")):
            assert failure((body + end)[:cut]).kind is FailureKind.TRUNCATED


class TestErrors:
    @pytest.mark.parametrize(
        ("body", "retryable", "reason"),
        [
            (event({"error": {"message": "boom", "code": 500}}), True, ErrorReason.LLM_UNAVAILABLE),
            (event({"error": {"message": "boom", "code": "429"}}), True, ErrorReason.LLM_UNAVAILABLE),
            (event({"error": {"message": "boom", "code": 400}}), False, ErrorReason.LLM_BAD_RESPONSE),
            (event({"error": {"message": "boom", "code": 401}}), False, ErrorReason.LLM_UNAVAILABLE),
            (event({"error": {"message": "boom", "code": None}}), True, ErrorReason.LLM_UNAVAILABLE),
            (event({"error": "boom"}), True, ErrorReason.LLM_UNAVAILABLE),
            (event({"error": {"code": "context_length_exceeded"}}), False, ErrorReason.CONTEXT_FULL),
            (event({"error": {"code": 400, "type": "exceed_context_size_error"}}), False, ErrorReason.CONTEXT_FULL),
            (event({"object": "error", "message": "boom", "code": 400}), False, ErrorReason.LLM_BAD_RESPONSE),
            (b'event: error\ndata: {"message":"boom","code":503}\n\n', True, ErrorReason.LLM_UNAVAILABLE),
            (b"event: error\ndata: boom\n\n", True, ErrorReason.LLM_UNAVAILABLE),
            (b"event: error\ndata:\n\n", True, ErrorReason.LLM_UNAVAILABLE),
            (b'error: {"code":400,"message":"boom"}\n\n', False, ErrorReason.LLM_BAD_RESPONSE),
            (b'error: {"code":400,"message":"boom"}', False, ErrorReason.LLM_BAD_RESPONSE),
            (delta({}, finish_reason="error"), True, ErrorReason.LLM_UNAVAILABLE),
        ],
    )
    def test_reported_in_the_stream(self, body: bytes, retryable: bool, reason: ErrorReason) -> None:
        # The last of the bodies lacks its blank line: only the end of the stream makes it an event.
        rest = [finish(), DONE] if body.endswith(b"\n\n") else []
        for stream in ([body, *rest], [text("so far"), body, *rest]):
            failed = failure(*stream)
            assert (failed.kind, failed.retryable, failed.reason) == (FailureKind.IN_BAND, retryable, reason)
            assert "boom" not in failed.message

    @pytest.mark.parametrize(
        "body",
        [
            b"data: {oops\n\n",
            b"data: 7\n\n",
            b"data: []\n\n",
            event({"choices": 7}),
            event({"choices": [7]}),
            delta(7),
            delta({"content": 7}),
            delta({"content": ["a"]}),
            delta({"tool_calls": 7}),
            delta({"tool_calls": [7]}),
            delta({"tool_calls": [{"index": 0, "function": 7}]}),
        ],
    )
    def test_what_is_no_completion_is_refused(self, body: bytes) -> None:
        failed = failure(text("a"), body, finish(), DONE)
        assert (failed.kind, failed.reason) == (FailureKind.BAD_UPSTREAM, ErrorReason.LLM_BAD_RESPONSE)

    def test_text_before_an_error_is_delivered(self) -> None:
        assembler = AnswerAssembler(model="m", call_id_prefix="c")
        good, bad = SseDecoder().feed(text("so far") + b"data: {oops\n\n")
        assert assembler.feed(good) == [TextFragment("so far")]
        with pytest.raises(UpstreamError):
            assembler.feed(bad)


class TestUsage:
    def test_comes_after_the_finish_reason(self) -> None:
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
        usage |= {"completion_tokens_details": {"reasoning_tokens": 2}}
        assert answer(text("a"), finish(), event({"choices": [], "usage": usage}), DONE).usage == Usage(10, 5, 4, 2)

    def test_the_last_value_wins_and_null_changes_nothing(self) -> None:
        chunks = [event({"usage": {"prompt_tokens": 10, "completion_tokens": n}}) for n in (1, 2, 3)]
        assert answer(text("a"), *chunks, event({"usage": None}), finish()).usage == Usage(10, 3)

    def test_is_estimated_and_marked_if_it_never_comes(self) -> None:
        assert answer(text("12345678"), finish()).usage == Usage(10, 2, estimated=True)

    @pytest.mark.parametrize("value", [7, {"prompt_tokens": -1}, {"completion_tokens": "x", "prompt_tokens": True}])
    def test_nonsense_does_no_harm(self, value: object) -> None:
        usage = answer(text("a"), event({"usage": value}), finish()).usage
        assert usage.prompt_tokens in (0, 10)

    def test_absurd_counts_are_capped(self) -> None:
        assert answer(text("a"), event({"usage": {"prompt_tokens": 10**30}}), finish()).usage.prompt_tokens == 2**31 - 1


STREAM = b"".join(
    [
        b": hello\n\n",
        delta({"role": "assistant", "content": None}),
        delta({"reasoning_content": "hm 🌍"}),
        text("grüß"),
        text(" dich"),
        call(0, "a", "read", ""),
        call(1, "b", "write", '{"p":'),
        call(0, None, None, '{"x":"🌍"}'),
        call(1, None, None, '"q"}'),
        finish("tool_calls"),
        event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}}),
        DONE,
    ]
)


def test_cut_anywhere_a_stream_means_the_same() -> None:
    whole = parse([STREAM])
    for cut in range(1, len(STREAM)):
        assert parse([STREAM[:cut], STREAM[cut:]]) == whole
    assert parse([STREAM[n : n + 1] for n in range(len(STREAM))]) == whole


@given(st.lists(st.tuples(st.integers(0, len(STREAM) - 1), st.integers(1, 255)), min_size=1, max_size=8))
def test_flipped_bytes_raise_nothing_but_upstream_errors(flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(STREAM)
    for place, mask in flips:
        damaged[place] ^= mask
    try:
        _, got = parse([bytes(damaged)])
    except UpstreamError:
        return
    assert isinstance(got, ModelAnswer)
    got.text.encode()
    assert len(got.tool_calls) <= 4


def test_lost_and_doubled_pieces_raise_nothing_but_upstream_errors() -> None:
    rng = random.Random(7)
    events = STREAM.split(b"\n\n")
    for _ in range(2000):
        kept = [e for e in rng.choices(events, k=len(events)) if rng.random() < 0.9]
        try:
            parse([b"\n\n".join(kept)])
        except UpstreamError:
            continue
