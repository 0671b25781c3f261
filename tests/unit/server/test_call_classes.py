"""What each RPC counts as, decided by the decoded input."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from agent_runtime.v1 import input_pb2, message_service_pb2
from server.interceptors.call_classes import CallClass, class_of
from server.interceptors.needs import SEND_MESSAGE
from tests.support.rpcs import RPCS

_STARTING = {"user_message": input_pb2.UserMessage(text="hi"), "resume": input_pb2.Resume()}
_ANSWERING = {
    "tool_results": input_pb2.ToolResults(),
    "approval_decision": input_pb2.ApprovalDecision(),
    "followup_answer": input_pb2.FollowupAnswer(),
}


def _class_of_input(**fields: Any) -> CallClass | None:
    return class_of(SEND_MESSAGE, message_service_pb2.SendMessageRequest(**fields))


@pytest.mark.parametrize("name", _STARTING)
def test_what_starts_work_is_work_and_a_re_attachment_is_not(name: str) -> None:
    given = {name: _STARTING[name]}
    assert _class_of_input(**given) is CallClass.WORK
    assert _class_of_input(after_sequence=0, **given) is CallClass.ANSWERS


@pytest.mark.parametrize("name", _ANSWERING)
def test_what_was_done_or_decided_is_an_answer(name: str) -> None:
    assert _class_of_input(**{name: _ANSWERING[name]}) is CallClass.ANSWERS


def test_an_input_that_is_none_is_no_work() -> None:
    assert _class_of_input() is CallClass.ANSWERS


def test_every_rpc_has_a_class_but_those_of_operators() -> None:
    classes = {rpc.name: class_of(rpc.path, rpc.request()) for rpc in RPCS}
    assert {name for name, kind in classes.items() if kind is None} == {
        name for name in classes if name.startswith("OperationsService/")
    }
    assert [name for name, kind in classes.items() if kind is CallClass.WATCHES] == ["MessageService/WatchSession"]
    reads = {name for name, kind in classes.items() if kind is CallClass.READS}
    assert {name for name in reads if not name.split("/")[1].startswith(("Get", "List"))} == set()
    assert Counter(classes.values())[CallClass.WORK] == 0  # only an input can be that


def test_health_and_reflection_are_no_calls_of_anybody() -> None:
    assert class_of("/grpc.health.v1.Health/Check", b"") is None
