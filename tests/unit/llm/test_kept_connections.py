"""A server may close a connection that it kept when it likes; the question that meets that is simply asked again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pytest

from services.application.ports.circuits import CircuitState
from services.domain.model_exchange import ModelAnswer
from services.infrastructure.circuits import ProcessCircuits
from services.infrastructure.llm import OpenAiModelClient, OpenAiSettings, RetrySettings
from services.infrastructure.llm.failures import FailureKind, UpstreamError
from tests.unit.llm import wire
from tests.unit.llm.asking import question

_BODY = wire.text("fine") + wire.finish() + wire.DONE
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


class Provider:
    """Answers the nth request of a connection if `answers(n)`, else hangs up; like many, it promises to keep it."""

    def __init__(self, answers: Callable[[int], bool], *, hangs_up: bool) -> None:
        self._answers = answers
        self._hangs_up = hangs_up
        self.requests = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        served = 0
        try:
            while await _request(reader):
                self.requests += 1
                served += 1
                if not self._answers(served):
                    break
                writer.write(_ANSWER)
                if self._hangs_up:
                    break
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bool:
    """Reads one request; False if there is none."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return False
    length = next(line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
    await reader.readexactly(int(length))
    return True


class World:
    """A provider and a client that asks it once: no retry hides anything."""

    def __init__(self, provider: Provider, client: OpenAiModelClient, circuits: ProcessCircuits, url: str) -> None:
        self.provider = provider
        self.client = client
        self._circuit = circuits.of_route(url, "m")

    async def ask(self) -> str:
        async with self.client.stream(question()) as events:
            answer = [event async for event in events][-1]
        assert isinstance(answer, ModelAnswer)
        return answer.text

    @property
    def state(self) -> CircuitState:
        return self._circuit.state


@asynccontextmanager
async def world(answers: Callable[[int], bool] = lambda _: True, *, hangs_up: bool = False) -> AsyncIterator[World]:
    provider = Provider(answers, hangs_up=hangs_up)
    async with await asyncio.start_server(provider.serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        circuits = ProcessCircuits()
        settings = OpenAiSettings(url, "m", retry=RetrySettings(attempts=1))
        async with aclosing(OpenAiModelClient(settings, circuits)) as client:
            yield World(provider, client, circuits, url)


async def test_a_server_that_hangs_up_after_each_answer_answers_each_question() -> None:
    async with world(hangs_up=True) as it:
        for _ in range(30):
            assert await it.ask() == "fine"
        assert it.provider.requests == 30
        assert it.state is CircuitState.CLOSED


async def test_a_question_that_meets_a_closing_connection_is_asked_on_another() -> None:
    async with world(lambda served: served == 1) as it:
        for _ in range(20):
            assert await it.ask() == "fine"
        assert it.provider.connections == 20
        assert it.state is CircuitState.CLOSED


async def test_many_kept_connections_that_have_gone_cost_one_question_nothing() -> None:
    async with world(lambda served: served == 1) as it:
        assert await asyncio.gather(*(it.ask() for _ in range(3))) == ["fine"] * 3
        assert await it.ask() == "fine"
        assert it.provider.requests == 3 + 3 + 1


async def test_a_server_that_hangs_up_on_new_connections_has_failed() -> None:
    async with world(lambda _: False) as it:
        for asked in range(1, 4):
            with pytest.raises(UpstreamError) as failed:
                await it.ask()
            assert failed.value.kind is FailureKind.CONNECTION
            assert it.provider.requests == asked


async def test_a_server_that_dies_for_good_is_asked_once_more_not_for_ever() -> None:
    alive = True
    async with world(lambda _: alive) as it:
        assert await it.ask() == "fine"
        alive = False
        with pytest.raises(UpstreamError):
            await it.ask()
        assert it.provider.requests == 1 + 2
