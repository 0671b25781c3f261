"""P6, and the round trips of P2: what turns and lists ask of the database, counted where they ask it."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import grpc
import msgspec

from agent_runtime.v1.agent_service_pb2 import ListAgentSwitchesRequest
from agent_runtime.v1.message_service_pb2 import ListOpenToolCallsRequest, SendMessageResponse
from devtools.scripted_model import When, call, reply, text, tool_calls
from tests.bench.child import program
from tests.bench.counted_server import UnitOfWork
from tests.bench.figure import Figure
from tests.bench.load import crowd
from tests.bench.stage import DATABASES, Stage, saying
from tests.bench.targets import Runtime
from tests.support.runtime_client import RuntimeClient, text_result
from tests.support.unlimited import UNLIMITED

_TURNS = 20
_CROWD = 100
_RATE = 50
_WINDOW = 3.0
_TURN_GOAL, _TOOL_GOAL, _PAGE_GOAL, _ACCEPT_GOAL = 12, 8, 3, 4
_MAX_FLUSHES = 200  # a second: one in 5 ms

_LOG = "log_writer"
_BY_ITSELF = ("leases", "waits", "housekeeping", "outbox_store", "watches", "open")


@dataclass(frozen=True, slots=True)
class Counted:
    """A server that counts, and the file in which it does."""

    server: Runtime
    record: Path

    async def during(self, work: Awaitable[object]) -> list[UnitOfWork]:
        """The units that began while this was done, but for those that the server does by itself now and then."""
        began = monotonic()
        await work
        units = [msgspec.json.decode(line, type=UnitOfWork) for line in self.record.read_bytes().splitlines()]
        return [unit for unit in units if unit.at >= began and _module(unit) not in _BY_ITSELF]

    async def statements(self, work: Awaitable[object]) -> Counter[str]:
        """How many statements that took, log flushes aside, by the place in the code."""
        counter: Counter[str] = Counter()
        for unit in await self.during(work):
            if _module(unit) != _LOG:
                counter[unit.name] += unit.statements
        return counter


async def statements(stage: Stage) -> AsyncIterator[Figure]:
    """Statements of a turn, of a tool's round trip and of a page, and what a hundred turns flush, by database."""
    for kind in DATABASES:
        async with _counted_server(stage, kind) as counted:
            server = counted.server
            await _play(stage)
            plain = await counted.statements(_plain_turns(server, await server.sessions(_TURNS)))
            with_tool = await counted.statements(_tool_turns(server, talked := await server.sessions(_TURNS)))
            per_turn = plain.total() / _TURNS
            per_tool = with_tool.total() / _TURNS - per_turn
            yield _count("statements per turn", kind, per_turn, _TURN_GOAL, _where(plain))
            yield _count("statements per tool round trip", kind, per_tool, _TOOL_GOAL, _where(with_tool - plain))
            pages = {name: (await counted.statements(page)).total() for name, page in _pages(server.client, talked[0])}
            most = max(pages.values())
            yield _count("statements per list page", kind, most, _PAGE_GOAL, ", ".join(pages))
            stage.say(f"P6 {kind}: {per_turn:.1f} a turn, {per_tool:.1f} a tool's round trip, {most} a page")
            yield await _flushes(stage, counted, kind)


async def round_trips(stage: Stage) -> AsyncIterator[Figure]:
    """How often accepting an input waits for PostgreSQL."""
    async with _counted_server(stage, "PostgreSQL") as counted:
        await _play(stage)
        for request_id, part in (("", "accepting an input"), ("bench", "accepting an input with a request id")):
            units = await counted.during(
                _plain_turns(counted.server, await counted.server.sessions(_TURNS), request_id)
            )
            value = sum(unit.round_trips for unit in units if unit.name.endswith("SqlSessionStore.change")) / _TURNS
            yield Figure("P2", value, "round trips", f"<= {_ACCEPT_GOAL}", value <= _ACCEPT_GOAL, part=part)


async def _flushes(stage: Stage, counted: Counted, kind: str) -> Figure:
    await stage.model.play(saying("speak", 60 * _RATE, 1 / _RATE))
    sessions = await counted.server.sessions(_CROWD)
    async with crowd(counted.server) as turns:
        await turns.join_over(1.0, sessions, "speak")
        await turns.all_speaking()
        units = await counted.during(asyncio.sleep(_WINDOW))
        await turns.stop(sessions)
    rate = sum(_module(unit) == _LOG for unit in units) / _WINDOW
    stage.say(f"P6 {kind}: {rate:.0f} flushes a second")
    return Figure(
        "P6",
        rate,
        "transactions/s",
        f"<= {_MAX_FLUSHES}",
        rate <= _MAX_FLUSHES,
        part=f"flushes with {_CROWD} turns {kind}",
    )


@asynccontextmanager
async def _counted_server(stage: Stage, kind: str) -> AsyncIterator[Counted]:
    settings = {
        "DATABASE_URL": await stage.new_database(kind),
        "LLM_PROXY_URL": stage.model.url,
        "LLM_MODEL": "scripted",
        "LISTEN": "127.0.0.1:0",
        "DEV": "true",
    } | UNLIMITED
    with tempfile.NamedTemporaryFile(prefix="agent-runtime-units-") as record:
        async with (
            program("tests.bench.counted_server", record.name, settings=settings) as child,
            grpc.aio.insecure_channel(child.address) as channel,
        ):
            yield Counted(Runtime(kind, child.pid, channel, child.address), Path(record.name))


async def _play(stage: Stage) -> None:
    asks = tool_calls(call("read_file", {"path": "a.py"}, id="call_1"))
    after = reply(text("done"), when=When(last_role="tool"), repeat=True)
    await stage.model.play(
        after, reply(asks, when=When(last_user_contains="read"), repeat=True), saying("hello", 10, 0.0)
    )


async def _plain_turns(server: Runtime, sessions: Sequence[str], request_id: str = "") -> None:
    for session in sessions:
        async for _ in server.turn(session, "hello", request_id and f"{request_id}-{session}"):
            pass


async def _tool_turns(server: Runtime, sessions: Sequence[str]) -> None:
    """Turns with one round trip of a tool each, which nobody need approve."""
    for session in sessions:
        events = [SendMessageResponse.FromString(data).event async for data in server.turn(session, "read")]
        calls = [call.id for event in events for call in event.tool_calls_requested.calls]
        await server.client.tool_results(session, *(text_result(call_id, "x = 1") for call_id in calls))


def _pages(client: RuntimeClient, session: str) -> Iterator[tuple[str, Awaitable[object]]]:
    """A page of every list that is read from the database."""
    yield "sessions", client.list_sessions(page_size=5)
    yield "messages", client.list_messages(session)
    yield "turns", client.list_turns(session)
    yield "approvals", client.list_approvals(session_id=session)
    yield "approval rules", client.list_rules(session_id=session)
    open_calls = ListOpenToolCallsRequest(session_id=session)
    yield "open tool calls", client.messages.ListOpenToolCalls(open_calls, metadata=client.metadata)
    switches = ListAgentSwitchesRequest(session_id=session)
    yield "agent switches", client.agents.ListAgentSwitches(switches, metadata=client.metadata)


def _count(part: str, kind: str, value: float, goal: int, note: str = "") -> Figure:
    return Figure("P6", value, "", f"<= {goal}", value <= goal, part=f"{part} {kind}", note=note)


def _module(unit: UnitOfWork) -> str:
    return unit.name.partition(".")[0]


def _where(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count / _TURNS:.1f}" for name, count in counter.most_common())
