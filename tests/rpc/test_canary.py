"""No exception text, path, address or secret ever reaches a client: a canary sits in every layer, and none sings."""

from __future__ import annotations

import asyncio
import json
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import grpc
import msgspec
import pytest

from agent_runtime.v1 import error_reason_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import (
    Reply,
    ScriptedModel,
    fault,
    gate,
    in_band_error,
    page,
    raw_stream,
    reply,
    running_scripted_model,
    text,
)
from tests.support.postgres import PostgresServer
from tests.support.required_fields import required_fields
from tests.support.rpcs import OFFERED, RPCS, Metadata, Rpc
from tests.support.runtime_client import Event, RuntimeClient, ended, read_until
from tests.support.tcp_relay import TcpRelay, relay_to

API_KEY = "sk-canary-of-the-model-0123456789"
SERVICE_KEY = "canary-of-the-gateway-0123456789-abcdef"
PASSWORD = "canary-of-the-database"
SECRETS = (API_KEY, SERVICE_KEY, PASSWORD)
ROOT = str(Path(__file__).parents[2])
# What internals look like when they show: canaries, addresses, paths, names of libraries, statements.
MARKS = (
    *("canary", "127.0.0.1", ROOT, '.py"', ".py:", "Traceback", "Errno", "<html", "SELECT", "session_heads"),
    *("sqlalchemy", "asyncpg", "sqlite", "postgres", "httpx", "aiohttp"),
)

OFFERED_RPCS = [rpc for rpc in RPCS if rpc.name in OFFERED]


@dataclass
class Planted:
    """A running server full of canaries, and what a test needs to break it."""

    runtime: RuntimeProcess
    channel: grpc.aio.Channel
    model: ScriptedModel
    marks: tuple[str, ...]
    database_url: str
    wire: TcpRelay | None = None
    metadata: Metadata = (("authorization", f"Bearer {SERVICE_KEY}"),)
    heard: list[tuple[str, bytes]] = field(default_factory=list)

    def client(self) -> RuntimeClient:
        client = RuntimeClient(self.channel)
        client.metadata = self.metadata
        return client

    async def hear(self, rpc: Rpc, request: bytes, metadata: Any = None) -> grpc.StatusCode:
        """Makes a call, keeps all that comes back, and returns how it ended."""
        code, said = await rpc.hear(self.channel, request, self.metadata if metadata is None else metadata)
        self.heard.append((f"{rpc.name} {code.name}", said))
        return code

    def assert_silence(self) -> None:
        """Nothing heard so far holds a canary."""
        assert self.heard
        for call, said in self.heard:
            found = [mark for mark in self.marks if mark.lower().encode() in said.lower()]
            assert not found, (call, found, said)

    def errors(self) -> int:
        """How many errors the server has logged."""
        return self.runtime.log.read_text(encoding="utf-8").count('"level":"error"')

    async def rename(self, table: str, to: str) -> None:
        """Renames a table behind the server's back, so that its next statement about it fails unexpectedly."""
        statement = f"ALTER TABLE {table} RENAME TO {to}"
        if self.wire is None:
            with sqlite3.connect(urlsplit(self.database_url).path, timeout=10) as connection:
                connection.execute(statement)
            connection.close()
        else:
            postgres = await asyncpg.connect(self.database_url)
            await postgres.execute(statement)
            await postgres.close()


@asynccontextmanager
async def planted_database(kind: str, request: pytest.FixtureRequest, path: Path) -> AsyncIterator[tuple[str, Any]]:
    """A database's URL with canaries in it, and the wire to it if there is one."""
    if kind == "sqlite":
        yield f"sqlite:///{path / 'canary-directory' / 'canary.db'}", None
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    role = f"canary_{secrets.token_hex(4)}"
    admin = await asyncpg.connect(postgres.url_of("postgres"))
    await admin.execute(f"CREATE ROLE {role} SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    try:
        async with postgres.database() as name, relay_to(postgres.url_of(name)) as wire:
            yield f"postgresql://{role}:{PASSWORD}@127.0.0.1:{wire.port}/{name}", wire
    finally:
        await admin.execute(f"DROP ROLE {role}")
        await admin.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
async def planted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Planted]:
    """One server for the tests of this file; at the end, its log too must hold no secret."""
    keys = [{"key": SERVICE_KEY, "name": "gateway", "owner": "someone", "gateway": True}]
    path = tmp_path_factory.mktemp("canaries")
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(running_scripted_model())
        url, wire = await stack.enter_async_context(planted_database(request.param, request, path))
        settings = {"DEV": "false", "KEYS": json.dumps(keys), "LLM_API_KEY": API_KEY, "DRAIN_DELAY": "0", "LEASE": "2"}
        settings |= {"LOG_LEVEL": "DEBUG", "LLM_FIRST_TOKEN_TIMEOUT": "2", "LLM_PROGRESS_TIMEOUT": "1"}
        # Every call is to meet what is broken, none to be refused before.
        settings |= {"RESILIENCE__MODEL_ATTEMPTS": "1", "RESILIENCE__MODEL_CIRCUIT_FAILURES": "1000000"}
        settings |= {"RESILIENCE__DATABASE_CIRCUIT_FAILURES": "1000000"}
        runtime = await stack.enter_async_context(RuntimeProcess(url, model.url, settings))
        channel = await stack.enter_async_context(grpc.aio.insecure_channel(runtime.address))
        marks = (*MARKS, str(path), urlsplit(url).path.rpartition("/")[2], urlsplit(model.url).netloc)
        yield Planted(runtime, channel, model, marks, url, wire)
        log = runtime.log.read_text(encoding="utf-8")
        assert log
        assert not [secret for secret in SECRETS if secret in log]


def good_request(rpc: Rpc, session_id: str, turn_id: str) -> bytes:
    """A request with nothing wrong in it."""
    known = rpc.request.DESCRIPTOR.fields_by_name
    fields: dict[str, Any] = (
        {"session_id": session_id} if "session_id" in known and rpc.name != "SessionService/CreateSession" else {}
    )
    if "turn_id" in known:
        fields["turn_id"] = turn_id
    fields |= required_fields(rpc)
    if rpc.name == "MessageService/SendMessage":
        fields["detach"] = True
    if rpc.name == "MessageService/WatchSession":
        fields |= {"after_sequence": 0, "stop_at_head": True, "snapshot": True}
    return rpc.request(**fields).SerializeToString()


async def everything_about(planted: Planted, session_id: str) -> None:
    """Hears all that can be read of a session, its log included."""
    for name in ("GetSession", "ListSessions", "ListMessages", "ListTurns", "WatchSession", "GetAgentUsageStats"):
        (rpc,) = [rpc for rpc in OFFERED_RPCS if rpc.name.endswith(f"/{name}")]
        await planted.hear(rpc, good_request(rpc, session_id, ""))


MODEL_FAILURES: dict[str, Reply] = {
    "401": Reply(status=401, body=f'{{"error": {{"message": "Incorrect key {API_KEY}", "code": "canary_code"}}}}'),
    "400": Reply(status=400, body='{"error": {"message": "canary in the request", "param": "canary"}}'),
    "404": Reply(status=404, body="canary not found"),
    "429": Reply(status=429, body="canary", headers={"Retry-After": "canary"}),
    "500": Reply(status=500, body="Traceback: canary.py at 127.0.0.1", headers={"x-canary": "canary"}),
    "redirect": Reply(status=302, body="", headers={"Location": "http://127.0.0.1:1/canary"}),
    "page": page("<html><body>canary</body></html>"),
    "json": Reply(status=200, body='{"canary": "canary"}', content_type="application/json"),
    "error in the stream": reply(text("so far "), in_band_error("canary", code="canary")),
    "no event stream": raw_stream(b"canary\n\n" * 40),
    "no json": raw_stream(b"data: {canary\n\n"),
    "odd json": raw_stream(b'data: {"choices": "canary"}\n\n'),
    "reset": reply(text("so far " * 9), fault=fault.reset_after(900)),
    "garbage": reply(text("so far " * 9), fault=fault.garbage_after(900)),
    "stall": reply(text("so far " * 9), fault=fault.stall_after(900)),
}


@pytest.mark.parametrize("failure", MODEL_FAILURES)
async def test_what_a_model_says_in_an_error_stays_inside(planted: Planted, failure: str) -> None:
    # However often it is asked: on a slow machine so short a lease is lost, and the turn taken up again.
    await planted.model.play(msgspec.structs.replace(MODEL_FAILURES[failure], repeat=True))
    client = planted.client()
    session = await client.new_session(agent="universal")
    events = await client.ask(session.id, "hello")
    assert ended(events)
    assert events[-1].HasField("turn_failed")
    assert events[-1].turn_failed.message
    planted.heard += [("an event", event.SerializeToString()) for event in events]
    await everything_about(planted, session.id)
    planted.assert_silence()


async def test_a_database_that_fails_unexpectedly_is_told_in_a_fixed_text(planted: Planted) -> None:
    await planted.model.reset()
    client = planted.client()
    session = await client.new_session(agent="universal")
    turn_id = (await client.ask(session.id, "hello"))[-1].turn_id
    for table in ("sessions", "session_heads", "messages", "turns", "session_events", "agent_contexts"):
        await planted.rename(table, "canary_table")
        try:
            codes = [await planted.hear(rpc, good_request(rpc, session.id, turn_id)) for rpc in OFFERED_RPCS]
        finally:
            await planted.rename("canary_table", table)
        assert grpc.StatusCode.INTERNAL in codes
        assert grpc.StatusCode.UNKNOWN not in codes
    planted.assert_silence()
    assert b"internal error" in b"".join(said for _, said in planted.heard)


async def test_a_turn_that_breaks_for_our_own_fault_says_only_that(planted: Planted) -> None:
    await planted.model.play(reply(text("so far "), gate("break"), text("not stored")), reply(text("fine again")))
    client = planted.client()
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "hello", detach=True)
    await planted.model.held("break")
    await planted.rename("messages", "canary_table")
    errors = planted.errors()
    try:
        await planted.model.release("break")
        async with asyncio.timeout(10):
            while planted.errors() == errors:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    finally:
        await planted.rename("canary_table", "messages")
    events: list[Event] = await read_until(client.watch(session.id, after_sequence=0), ended)
    planted.heard += [("an event", event.SerializeToString()) for event in events]
    if events[-1].HasField("turn_failed"):  # else the table was back in time for a second attempt
        assert events[-1].turn_failed.reason == error_reason_pb2.ERROR_REASON_INTERNAL
        assert events[-1].turn_failed.message == "internal error"
    await everything_about(planted, session.id)
    planted.assert_silence()
    assert (await client.ask(session.id, "and on"))[-1].HasField("turn_completed")


@pytest.mark.parametrize("planted", ["postgresql"], indirect=True)
async def test_a_database_that_is_away_is_not_named(planted: Planted) -> None:
    client = planted.client()
    session = await client.new_session(agent="universal")
    turn_id = (await client.ask(session.id, "hello"))[-1].turn_id
    assert planted.wire is not None
    await planted.wire.cut()
    try:
        codes = {rpc.name: await planted.hear(rpc, good_request(rpc, session.id, turn_id)) for rpc in OFFERED_RPCS}
        # Whoever has no credential is told just that: nobody looked into the database before.
        nobody = {await planted.hear(rpc, good_request(rpc, session.id, turn_id), ()) for rpc in OFFERED_RPCS}
        assert nobody == {grpc.StatusCode.UNAUTHENTICATED}
    finally:
        await planted.wire.mend()
    without_database = {"AgentService/ListAgents", "AgentService/GetAgent"}
    assert {name for name, code in codes.items() if code == grpc.StatusCode.OK} == without_database
    assert set(codes.values()) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    planted.assert_silence()


async def test_bad_input_is_not_answered_with_what_tripped_over_it(planted: Planted) -> None:
    for rpc in RPCS:
        await planted.hear(rpc, b"\xff\xffcanary")
        await planted.hear(rpc, b"\x0a\x08\xc3canary!")
        await planted.hear(rpc, b"")
        for metadata in ((), (("authorization", "Bearer canary"),), (("authorization", "canary"),)):
            assert await planted.hear(rpc, b"", metadata) == grpc.StatusCode.UNAUTHENTICATED
    unknown = Rpc("Nobody/Nothing", "/agent_runtime.v1.Nobody/Nothing", OFFERED_RPCS[0].request, streaming=False)
    assert await planted.hear(unknown, b"canary") == grpc.StatusCode.UNIMPLEMENTED
    planted.assert_silence()


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/canary", "http://canary-host.invalid/v1"])
async def test_a_model_that_cannot_be_reached_is_not_named(tmp_path: Path, address: str) -> None:
    url = f"sqlite:///{tmp_path / 'canary.db'}"
    once = {"RESILIENCE__MODEL_ATTEMPTS": "1"}
    async with RuntimeProcess(url, address, once) as runtime, grpc.aio.insecure_channel(runtime.address) as channel:
        client = RuntimeClient(channel)
        session = await client.new_session(agent="universal")
        events = await client.ask(session.id, "hello")
        assert events[-1].turn_failed.reason == error_reason_pb2.ERROR_REASON_LLM_UNAVAILABLE
        said = b"".join(event.SerializeToString() for event in events)
        said += (await client.list_turns(session.id)).SerializeToString()
        assert not [mark for mark in MARKS if mark.encode() in said]


async def test_a_file_that_turns_to_garbage_is_told_in_a_fixed_text(tmp_path: Path, own_model: ScriptedModel) -> None:
    file = tmp_path / "canary-directory" / "canary.db"
    async with (
        RuntimeProcess(f"sqlite:///{file}", own_model.url) as runtime,
        grpc.aio.insecure_channel(runtime.address) as channel,
    ):
        client = RuntimeClient(channel)
        session = await client.new_session(agent="universal")
        turn_id = (await client.ask(session.id, "hello"))[-1].turn_id
        for part in (file, file.with_name(file.name + "-wal")):
            part.write_bytes(b"canary " * 20_000)
        planted = Planted(runtime, channel, own_model, (*MARKS, str(tmp_path)), "", metadata=client.metadata)
        for rpc in OFFERED_RPCS:
            assert await planted.hear(rpc, good_request(rpc, session.id, turn_id)) != grpc.StatusCode.UNKNOWN
        planted.assert_silence()
