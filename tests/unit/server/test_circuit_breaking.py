"""The interceptor alone: whom it refuses before anything is done, and what it tells the database's circuit."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from agent_runtime.v1 import input_pb2
from agent_runtime.v1.message_service_pb2 import SendMessageRequest
from server.interceptors.circuit_breaking import CircuitBreaking
from server.interceptors.needs import SEND_MESSAGE
from server.interceptors.rpc import Rpc
from server.interceptors.rpc_context import RpcContext
from services.application.ports.circuits import CircuitState
from services.domain.errors import (
    DatabaseBusyError,
    DatabaseUnavailableError,
    ErrorReason,
    InvalidArgumentError,
    SessionNotFoundError,
    UnavailableError,
)
from services.infrastructure.circuits import ProcessCircuits

READ = "/agent_runtime.v1.SessionService/GetSession"
WATCH = "/agent_runtime.v1.MessageService/WatchSession"
NEW = SendMessageRequest(user_message=input_pb2.UserMessage(text="hi"))
RESULTS = SendMessageRequest(tool_results=input_pb2.ToolResults())


class Caller:
    """Calls through the interceptor; `reached` counts those whose handler ran."""

    def __init__(self) -> None:
        self.now = 0.0
        self.circuits = ProcessCircuits(monotonic=lambda: self.now)
        self.model = self.circuits.of_route("http://a/v1", "m")
        self.reached = 0
        self._interceptor = CircuitBreaking(self.circuits)

    async def call(self, method: str = READ, request: object = None, outcome: object = "fine") -> object:
        return await self._interceptor(rpc_of(method, request), self._proceed(outcome))

    async def fail(self, times: int = 5) -> None:
        for _ in range(times):
            with pytest.raises(DatabaseUnavailableError):
                await self.call(outcome=DatabaseUnavailableError("away"))

    async def refusal(self, method: str = READ, request: object = None) -> UnavailableError:
        before = self.reached
        with pytest.raises(UnavailableError) as refused:
            await self.call(method, request)
        assert self.reached == before
        return refused.value

    @property
    def state(self) -> CircuitState:
        return self.circuits.database.state

    def _proceed(self, outcome: object) -> Any:
        async def handler() -> object:
            self.reached += 1
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        return handler


def rpc_of(method: str, request: object) -> Rpc:
    context = RpcContext(Silent())  # type: ignore[arg-type]
    return Rpc(method, method in (WATCH, SEND_MESSAGE), request, context, (), "peer", 0.0, None)


class Silent:
    """A gRPC context that sends nothing."""

    async def send_initial_metadata(self, metadata: object) -> None:
        """Nothing."""


def open_model(caller: Caller) -> None:
    for _ in range(5):
        caller.model.admit().failed()


class TestModel:
    async def test_a_new_message_is_refused_with_the_time_to_the_next_probe(self) -> None:
        caller = Caller()
        open_model(caller)
        caller.now = 20.0
        refused = await caller.refusal(SEND_MESSAGE, NEW)
        assert (refused.reason, refused.retry_after) == (ErrorReason.LLM_UNAVAILABLE, 40.0)
        assert (await caller.refusal(SEND_MESSAGE, SendMessageRequest(resume=input_pb2.Resume()))).retry_after == 40.0

    async def test_everything_else_passes(self) -> None:
        caller = Caller()
        open_model(caller)
        for request in (RESULTS, SendMessageRequest(approval_decision=input_pb2.ApprovalDecision())):
            assert await caller.call(SEND_MESSAGE, request) == "fine"
        assert await caller.call(READ) == "fine"

    async def test_admission_takes_no_probe(self) -> None:
        caller = Caller()
        open_model(caller)
        caller.now = 60.0
        for _ in range(3):
            assert await caller.call(SEND_MESSAGE, NEW) == "fine"
        assert caller.model.state is CircuitState.OPEN
        caller.model.admit()
        assert (await caller.refusal(SEND_MESSAGE, NEW)).retry_after == 1.0

    async def test_a_refusal_takes_no_probe_of_the_database(self) -> None:
        caller = Caller()
        await caller.fail()
        caller.now = 5.0
        open_model(caller)
        await caller.refusal(SEND_MESSAGE, NEW)
        assert await caller.call() == "fine"

    async def test_outcomes_of_calls_do_not_feed_it(self) -> None:
        caller = Caller()
        outcome = UnavailableError("x", reason=ErrorReason.LLM_UNAVAILABLE)
        for _ in range(9):
            with pytest.raises(UnavailableError):
                await caller.call(SEND_MESSAGE, NEW, outcome)
        assert caller.model.state is caller.state is CircuitState.CLOSED


class TestDatabase:
    async def test_five_failures_in_a_row_open_it_for_five_seconds(self) -> None:
        caller = Caller()
        await caller.fail(4)
        await caller.call()
        await caller.fail(5)
        caller.now = 2.0
        for method, request in ((READ, None), (WATCH, None), (SEND_MESSAGE, RESULTS)):
            refused = await caller.refusal(method, request)
            assert (refused.reason, refused.retry_after) == (ErrorReason.DATABASE_UNAVAILABLE, 3.0)

    async def test_the_operators_questions_pass(self) -> None:
        caller = Caller()
        await caller.fail()
        assert await caller.call("/agent_runtime.v1.OperationsService/GetStatus") == "fine"

    async def test_one_call_is_the_probe_and_closes_it(self) -> None:
        caller = Caller()
        await caller.fail()
        caller.now = 5.0
        answer = asyncio.Event()
        probe = asyncio.create_task(CircuitBreaking(caller.circuits)(rpc_of(READ, None), answer.wait))
        await asyncio.sleep(0)
        assert (await caller.refusal()).retry_after == 1.0
        answer.set()
        await probe
        assert await caller.call() == "fine"

    async def test_a_failed_probe_opens_it_again(self) -> None:
        caller = Caller()
        await caller.fail()
        caller.now = 5.0
        await caller.fail(1)
        assert (await caller.refusal()).retry_after == 5.0

    @pytest.mark.parametrize(
        "other",
        [SessionNotFoundError(), InvalidArgumentError.of("x", "y"), DatabaseBusyError("busy"), ZeroDivisionError()],
    )
    async def test_other_errors_say_nothing(self, other: Exception) -> None:
        caller = Caller()
        await caller.fail(4)
        with pytest.raises(type(other)):
            await caller.call(outcome=other)
        await caller.fail(1)
        await caller.refusal()
        caller.now = 5.0
        with pytest.raises(type(other)):
            await caller.call(outcome=other)
        assert caller.state is CircuitState.HALF_OPEN
        assert await caller.call() == "fine"

    async def test_what_is_answered_from_memory_says_nothing(self) -> None:
        caller = Caller()
        await caller.fail(4)
        await caller.call("/agent_runtime.v1.AgentService/ListAgents")
        await caller.fail(1)
        assert caller.state is CircuitState.OPEN

    async def test_a_caller_who_leaves_says_nothing_and_frees_the_probe(self) -> None:
        caller = Caller()
        await caller.fail()
        caller.now = 5.0
        never = asyncio.Event()
        probe = asyncio.create_task(CircuitBreaking(caller.circuits)(rpc_of(READ, None), never.wait))
        await asyncio.sleep(0)
        probe.cancel()
        await asyncio.wait([probe])
        assert await caller.call() == "fine"

    async def test_a_stream_has_succeeded_once_it_is_accepted(self) -> None:
        caller = Caller()
        await caller.fail()
        caller.now = 5.0
        rpc, ends = rpc_of(WATCH, None), asyncio.Event()

        async def stream() -> None:
            await rpc.context.accept()
            await ends.wait()

        streaming = asyncio.create_task(CircuitBreaking(caller.circuits)(rpc, stream))
        await asyncio.sleep(0)
        assert caller.state is CircuitState.CLOSED
        ends.set()
        await streaming
