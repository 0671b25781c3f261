"""The demo's look at a log finds what came twice, what is missing and what must not be there."""

from __future__ import annotations

import pytest

from agent_runtime.v1.answer_event_pb2 import MessageAdded, TextDelta
from agent_runtime.v1.approval_pb2 import Approval
from agent_runtime.v1.message_pb2 import Message
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.tool_event_pb2 import ApprovalRequested, ApprovalResolved, ToolCallsRequested, ToolResultRecorded
from agent_runtime.v1.tool_pb2 import ToolCall
from devtools.demo.events import StoryBrokenError, is_numbered, not_once, only

MADE = SessionEvent(message_added=MessageAdded(message=Message(tool_calls=[ToolCall(id="c")])))
ASKED = SessionEvent(approval_requested=ApprovalRequested(approval=Approval(id="a", tool_call_id="c")))
RELEASED = SessionEvent(approval_resolved=ApprovalResolved(approval_id="a", tool_call_id="c", released=True))
REJECTED = SessionEvent(approval_resolved=ApprovalResolved(approval_id="a", tool_call_id="c"))
ORDERED = SessionEvent(tool_calls_requested=ToolCallsRequested(calls=[ToolCall(id="c")]))
RECORDED = SessionEvent(tool_result_recorded=ToolResultRecorded(tool_call_id="c"))


@pytest.mark.parametrize(
    "log",
    [
        (),
        (MADE, ORDERED, RECORDED),
        (MADE, RECORDED),
        (MADE, ASKED, RELEASED, ORDERED, RECORDED),
        (MADE, ASKED, REJECTED, RECORDED),
    ],
)
def test_a_good_log(log: tuple[SessionEvent, ...]) -> None:
    assert not_once(log) == []


@pytest.mark.parametrize(
    ("log", "finding"),
    [
        ((MADE, ORDERED, ORDERED, RECORDED), "ordered 2 times: c"),
        ((MADE, ORDERED, RECORDED, RECORDED), "calls and results: c has 2"),
        ((MADE, ORDERED), "calls and results: c has 0"),
        ((RECORDED,), "calls and results: c has 1"),
        ((MADE, ASKED, RELEASED, RELEASED, ORDERED, RECORDED), "approvals and decisions: a has 2"),
        ((MADE, ASKED, RECORDED), "approvals and decisions: a has 0"),
        ((MADE, ASKED, RELEASED, RECORDED), "approved, but not ordered: c"),
        ((MADE, ASKED, REJECTED, ORDERED, RECORDED), "not approved, but ordered: c"),
    ],
)
def test_what_did_not_happen_once(log: tuple[SessionEvent, ...], finding: str) -> None:
    assert not_once(log) == [finding]


@pytest.mark.parametrize(
    ("numbers", "after", "good"),
    [([1, 2, 3], 0, True), ([4, 5], 3, True), ([1, 3], 0, False), ([1, 1], 0, False), ([2], 0, False), ([], 0, False)],
)
def test_numbers_without_gaps_or_repeats(numbers: list[int], after: int, good: bool) -> None:
    assert is_numbered([SessionEvent(sequence=number) for number in numbers], after) is good


def test_the_only_payload_of_a_kind() -> None:
    said = SessionEvent(text_delta=TextDelta(text="hello"))
    assert only([MADE, said], "text_delta").text == "hello"
    for events in ([MADE], [said, said]):
        with pytest.raises(StoryBrokenError, match="expected one text_delta"):
            only(events, "text_delta")
