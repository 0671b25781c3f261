"""The gate alone: what is refused while the loop or the database is late, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from agent_runtime.v1 import input_pb2
from agent_runtime.v1.message_service_pb2 import CancelTurnRequest, SendMessageRequest
from server.accept_queue import AcceptQueue
from server.interceptors.needs import SEND_MESSAGE
from server.interceptors.overload import OverloadGate
from server.interceptors.rpc import Rpc
from server.interceptors.rpc_context import RpcContext
from server.overload_watch import OverloadWatch
from services.domain.errors import RateLimitedError

NEW = SendMessageRequest(user_message=input_pb2.UserMessage(text="hi"))
GOES_ON = {
    "results": (SEND_MESSAGE, SendMessageRequest(tool_results=input_pb2.ToolResults())),
    "a decision": (SEND_MESSAGE, SendMessageRequest(approval_decision=input_pb2.ApprovalDecision())),
    "a stream again": (SEND_MESSAGE, SendMessageRequest(user_message=NEW.user_message, after_sequence=3)),
    "a cancel": ("/agent_runtime.v1.MessageService/CancelTurn", CancelTurnRequest()),
}


async def passes(method: str, request: Any, lateness: float) -> bool:
    context: Any = None
    rpc = Rpc(method, method == SEND_MESSAGE, request, RpcContext(context), (), "", 0.0, None)

    async def proceed() -> bool:
        return True

    gate = OverloadGate(lambda: lateness, 0.25, AcceptQueue(SEND_MESSAGE, patience=0.25))
    passed: bool = await gate(rpc, proceed)
    return passed


async def test_what_is_not_late_lets_everything_pass() -> None:
    assert await passes(SEND_MESSAGE, NEW, 0.25)


async def test_new_turns_are_refused_with_a_time_to_come_back() -> None:
    with pytest.raises(RateLimitedError) as refused:
        await passes(SEND_MESSAGE, NEW, 0.26)
    assert refused.value.retry_after is not None
    assert 1.0 <= refused.value.retry_after <= 3.0


@pytest.mark.parametrize("what", GOES_ON)
async def test_what_was_accepted_comes_to_its_end(what: str) -> None:
    assert await passes(*GOES_ON[what], 9.0)


@pytest.mark.parametrize(
    ("late", "standing"),
    [((), 0.0), ((9.0,), 0.0), ((0.3, 0.4, 0.5), 0.0), ((0.3, 0.4, 0.5, 0.4, 0.6), 0.3), ((0.3,) * 9 + (0.1,), 0.1)],
)
def test_only_lateness_that_stays_counts(late: tuple[float, ...], standing: float) -> None:
    watch = OverloadWatch()
    for seconds in late:
        watch.beat(seconds)
    assert watch.lateness() == standing


def test_the_latest_of_all_counts() -> None:
    queue = [0.0]
    watch = OverloadWatch(lambda: queue[0])
    for queue[0] in (0.6, 0.0, 0.6, 0.5, 0.6):
        watch.beat(0.4)
    assert watch.lateness() == 0.4
