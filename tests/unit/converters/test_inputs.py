"""The four inputs become what they say, and everything wrong with one is named by its place in the request."""

from __future__ import annotations

import pytest

from agent_runtime.v1.approval_pb2 import (
    DECISION_APPROVE,
    DECISION_APPROVE_WITH_EDITS,
    DECISION_REJECT,
    REMEMBER_NONE,
    REMEMBER_SESSION,
)
from agent_runtime.v1.input_pb2 import ApprovalDecision as WireDecision
from agent_runtime.v1.input_pb2 import FollowupAnswer as WireAnswer
from agent_runtime.v1.input_pb2 import ToolResult as WireResult
from agent_runtime.v1.input_pb2 import ToolResults as WireResults
from agent_runtime.v1.input_pb2 import UserMessage as WireMessage
from agent_runtime.v1.message_service_pb2 import SendMessageRequest
from server.converters import limits, message_requests
from services.domain.approval import Decision
from services.domain.input import (
    ApprovalDecision,
    FollowupAnswer,
    InputContent,
    ToolResult,
    ToolResults,
    UserMessage,
)
from tests.unit.converters.refusals import violations

MEBIBYTE = 1024 * 1024
LONGEST = "я" * (128 * 1024)

Wire = WireMessage | WireResults | WireDecision | WireAnswer


def read(wire: Wire, *, max_text_bytes: int = limits.USER_MESSAGE_BYTES) -> InputContent:
    """What a request with this input says."""
    request = SendMessageRequest(session_id="s")
    match wire:
        case WireMessage():
            request.user_message.CopyFrom(wire)
        case WireResults():
            request.tool_results.CopyFrom(wire)
        case WireDecision():
            request.approval_decision.CopyFrom(wire)
        case WireAnswer():
            request.followup_answer.CopyFrom(wire)
    return message_requests.from_send_message(request, max_text_bytes=max_text_bytes)["content"]


def decided(**fields: object) -> WireDecision:
    """A good decision, but for these fields."""
    good: dict[str, object] = {"approval_id": "a", "arguments_hash": "h", "decision": DECISION_APPROVE}
    return WireDecision(**(good | fields))  # type: ignore[arg-type]


def results(*given: WireResult) -> WireResults:
    return WireResults(results=given)


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (WireMessage(text="hello"), UserMessage("hello")),
        (WireMessage(text=LONGEST), UserMessage(LONGEST)),
        (WireMessage(text=" x ", agent="coder"), UserMessage(" x ", "coder")),
        (
            results(
                WireResult(tool_call_id="c" * 128, text=""),
                WireResult(tool_call_id="b", text="a\n\ufeff\u202e", is_error=True),
                WireResult(tool_call_id="a", json=' {"exit_code": 0} '),
                WireResult(tool_call_id="d", json="0"),
                WireResult(tool_call_id="e", json='""', is_error=True),
            ),
            ToolResults(
                (
                    ToolResult("c" * 128, ""),
                    ToolResult("b", "a\n\ufeff\u202e", is_error=True),
                    ToolResult("a", ' {"exit_code": 0} ', is_json=True),
                    ToolResult("d", "0", is_json=True),
                    ToolResult("e", '""', is_json=True, is_error=True),
                )
            ),
        ),
        (decided(), ApprovalDecision("a", "h", Decision.APPROVE)),
        (
            decided(decision=DECISION_REJECT, feedback="я" * 4000, remember=REMEMBER_NONE),
            ApprovalDecision("a", "h", Decision.REJECT, feedback="я" * 4000),
        ),
        (
            decided(decision=DECISION_APPROVE_WITH_EDITS, edited_arguments_json='{"path": "a"}'),
            ApprovalDecision("a", "h", Decision.APPROVE_WITH_EDITS, '{"path": "a"}'),
        ),
        (WireAnswer(followup_id="f", option_id="o"), FollowupAnswer("f", option_id="o")),
        (WireAnswer(followup_id="f", text=" yes "), FollowupAnswer("f", text=" yes ")),
        (WireAnswer(followup_id="f", text=LONGEST), FollowupAnswer("f", text=LONGEST)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_input_says(wire: Wire, content: InputContent) -> None:
    assert read(wire) == content


@pytest.mark.parametrize("text", ["", " \n\t\u2003", "a\x00b", LONGEST + "x"], ids=["empty", "blank", "NUL", "long"])
def test_a_text_that_is_none_is_refused(text: str) -> None:
    assert violations(lambda: read(WireMessage(text=text))) == ["user_message.text"]
    assert violations(lambda: read(WireAnswer(followup_id="f", text=text))) == ["followup_answer.text"]


def test_an_operator_may_set_another_size_of_what_people_write() -> None:
    assert violations(lambda: read(WireMessage(text="12345"), max_text_bytes=4)) == ["user_message.text"]
    answer = WireAnswer(followup_id="f", text="12345")
    assert violations(lambda: read(answer, max_text_bytes=4)) == ["followup_answer.text"]


@pytest.mark.parametrize(
    ("wire", "fields"),
    [
        (WireMessage(text="x", agent=""), ["user_message.agent"]),
        (WireMessage(text="x", agent="a" * 65), ["user_message.agent"]),
        (results(), ["tool_results.results"]),
        (results(*[WireResult(tool_call_id=f"c{n}") for n in range(33)]), ["tool_results.results"]),
        (
            results(WireResult(tool_call_id="c", text=""), WireResult()),
            ["tool_results.results[1].tool_call_id", "tool_results.results[1].content"],
        ),
        (results(WireResult(tool_call_id="c" * 129, text="")), ["tool_results.results[0].tool_call_id"]),
        (results(WireResult(tool_call_id="c\x00", text="")), ["tool_results.results[0].tool_call_id"]),
        (
            results(*[WireResult(tool_call_id=name, text=name) for name in "abaa"]),
            ["tool_results.results[2].tool_call_id", "tool_results.results[3].tool_call_id"],
        ),
        (results(WireResult(tool_call_id="c", text="a\x00")), ["tool_results.results[0].text"]),
        (
            results(WireResult(tool_call_id="a", json="{"), WireResult(tool_call_id="b", json="")),
            ["tool_results.results[0].json", "tool_results.results[1].json"],
        ),
        (
            WireDecision(),
            ["approval_decision.approval_id", "approval_decision.arguments_hash", "approval_decision.decision"],
        ),
        (decided(approval_id="a" * 129), ["approval_decision.approval_id"]),
        (decided(arguments_hash="h" * 129), ["approval_decision.arguments_hash"]),
        (decided(decision=99), ["approval_decision.decision"]),
        (decided(remember=99), ["approval_decision.remember"]),
        (
            decided(decision=DECISION_APPROVE_WITH_EDITS, edited_arguments_json="{}", remember=REMEMBER_SESSION),
            ["approval_decision.remember"],
        ),
        (decided(feedback="x" * 4001), ["approval_decision.feedback"]),
        (decided(feedback="\x00"), ["approval_decision.feedback"]),
        (decided(edited_arguments_json="{}"), ["approval_decision.edited_arguments_json"]),
        (
            decided(decision=DECISION_REJECT, edited_arguments_json="{}"),
            ["approval_decision.edited_arguments_json"],
        ),
        (WireAnswer(), ["followup_answer.followup_id", "followup_answer.answer"]),
        (WireAnswer(followup_id="f", option_id=""), ["followup_answer.option_id"]),
        (
            WireAnswer(followup_id="f" * 129, option_id="o" * 129),
            ["followup_answer.followup_id", "followup_answer.option_id"],
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, list) else "",
)
def test_everything_wrong_is_named_by_its_place(wire: Wire, fields: list[str]) -> None:
    assert violations(lambda: read(wire)) == fields


@pytest.mark.parametrize(
    "edited", ["", " ", "[]", "null", "{", "{} {}", '{"a": "' + "x" * MEBIBYTE + '"}', '{"a":' * 65 + "1" + "}" * 65]
)
def test_edits_are_one_object_of_a_mebibyte_at_most(edited: str) -> None:
    wire = decided(decision=DECISION_APPROVE_WITH_EDITS, edited_arguments_json=edited)
    assert violations(lambda: read(wire)) == ["approval_decision.edited_arguments_json"]


def test_the_largest_edits_and_results_pass_this_check() -> None:
    largest = '{"a": "' + "x" * (MEBIBYTE - 9) + '"}'
    assert len(largest) == MEBIBYTE
    read(decided(decision=DECISION_APPROVE_WITH_EDITS, edited_arguments_json=largest))
    # A result that is too large is refused by itself, when it is recorded; here it must not hide the others.
    read(
        results(WireResult(tool_call_id="a", text="x" * 2 * MEBIBYTE), WireResult(tool_call_id="b", json=largest + " "))
    )


def test_thirty_two_results_are_taken() -> None:
    content = read(results(*[WireResult(tool_call_id=f"c{n}", text="") for n in range(32)]))
    assert isinstance(content, ToolResults)
    assert len(content.results) == 32
