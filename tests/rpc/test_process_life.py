"""A server process from its start to its end, the hard one included (G4, G9)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reply, running_scripted_model, text
from tests.support.health import NOT_SERVING, SERVING, HealthClient
from tests.support.postgres import PostgresServer
from tests.support.rpcs import RPCS
from tests.support.runtime_client import (
    Event,
    RuntimeClient,
    connected,
    ended,
    kinds,
    read_rest,
    read_until,
    said,
)
from tests.support.server_command import serve_once

SERVICES = sorted({rpc.path.split("/")[1] for rpc in RPCS})


async def test_a_second_server_on_one_file_says_so_and_ends(tmp_path: Path, own_model: ScriptedModel) -> None:
    url = f"sqlite:///{tmp_path / 'runtime.db'}"
    async with RuntimeProcess(url, own_model.url) as first:
        assert "another server is using this database" in await ends_with_one_line(url)
        async with connected(first.address) as client:
            assert (await client.new_session(agent="universal")).version == 1


@pytest.mark.parametrize("kind", ["garbage", "a directory", "no directory", "no such server", "no such scheme"])
async def test_a_database_that_cannot_be_used_is_one_line_and_code_2(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_bytes(b"this is not a database " * 400)
    urls = {
        "garbage": f"sqlite:///{tmp_path / 'file'}",
        "a directory": f"sqlite:///{tmp_path}",
        "no directory": f"sqlite:///{tmp_path / 'file' / 'runtime.db'}",
        "no such server": "postgresql://me:pass-canary@127.0.0.1:1/runtime",
        "no such scheme": "mysql://me:pass-canary@127.0.0.1/runtime",
    }
    await ends_with_one_line(urls[kind])


async def test_a_database_nobody_made_is_one_line_and_code_2(postgres: PostgresServer) -> None:
    assert "does not exist" in await ends_with_one_line(postgres.url_of("nobody_made_this"))


async def ends_with_one_line(url: str) -> str:
    """Starts a server that cannot start; what it says of it, beside the lines of its log."""
    code, output = await serve_once(url)
    assert code == 2, output
    (said,) = [line for line in output.splitlines() if not line.startswith("{")]
    assert said.startswith("agent-runtime: ")
    assert "canary" not in output
    return said


async def test_every_service_reports_its_health_and_describes_itself(runtime: RuntimeProcess) -> None:
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        health = HealthClient(channel)
        for service in ("", *SERVICES):
            assert await health.check(service) == SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await health.check("nobody")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        reflection: Any = reflection_pb2_grpc.ServerReflectionStub(cast(Any, channel))
        call = reflection.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
        listed = [service.name for service in (await call.read()).list_services_response.service]
        assert set(SERVICES) < set(listed)
        assert "grpc.health.v1.Health" in listed


async def test_sigterm_says_not_serving_first_and_then_ends_well(tmp_path: Path, own_model: ScriptedModel) -> None:
    url = f"sqlite:///{tmp_path / 'runtime.db'}"
    async with (
        RuntimeProcess(url, own_model.url, {"DRAIN_DELAY": "0.5"}) as runtime,
        connected(runtime.address) as client,
        grpc.aio.insecure_channel(runtime.address) as channel,
    ):
        health = HealthClient(channel)
        await health.becomes(SERVING)
        stopping = asyncio.ensure_future(runtime.terminate())
        assert await health.becomes(NOT_SERVING) < 0.5
        assert (await client.new_session(agent="universal")).version == 1  # whoever has not noticed yet is still served
        assert await stopping == 0


@pytest.fixture(scope="module")
async def brisk(shared_model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RuntimeProcess]:
    """A server whose streams have a heartbeat every 0.2 s and live for a second."""
    url = f"sqlite:///{tmp_path_factory.mktemp('brisk') / 'runtime.db'}"
    async with RuntimeProcess(url, shared_model.url, {"HEARTBEAT": "0.2", "STREAM_MAX_AGE": "1"}) as process:
        yield process


async def test_a_silent_stream_beats_with_the_last_number_it_delivered(
    brisk: RuntimeProcess, model: ScriptedModel
) -> None:
    async with connected(brisk.address) as client:
        session = await client.new_session(agent="universal")
        watch: Any = client.watch(session.id)
        assert (await watch.read()).heartbeat.last_sequence == 0
        await client.update(session.id, title="x")
        await client.update(session.id, title="y")
        items = [await watch.read() for _ in range(4)]
        assert [item.WhichOneof("item") for item in items] == ["event", "event", "heartbeat", "heartbeat"]
        assert [item.heartbeat.last_sequence for item in items[2:]] == [2, 2]
        watch.cancel()
        later: Any = client.watch(session.id, after_sequence=1)
        assert (await later.read()).event.sequence == 2
        later.cancel()


async def test_a_stream_at_its_age_ends_with_a_number_to_go_on_after(
    brisk: RuntimeProcess, model: ScriptedModel
) -> None:
    await model.play(reply(text("before "), gate("later"), text("after")))
    async with connected(brisk.address) as client:
        session = await client.new_session(agent="universal")
        sending = client.send(session.id, "go", request_id="r-1")
        seen = await read_until(sending, said("before "))
        rest = await read_rest(sending)
        assert await sending.code() == grpc.StatusCode.OK
        assert {item.WhichOneof("item") for item in rest} == {"heartbeat", "drain"}
        assert rest[-1].drain.resume_after_sequence == seen[-1].sequence
        await model.release("later")
        rest = await client.ask(session.id, "go", request_id="r-1", after_sequence=seen[-1].sequence)
        assert rest[0].sequence == seen[-1].sequence + 1
        assert rest[-1].turn_completed.result_text == "before after"


async def test_after_kill_9_at_rest_everything_is_there(database_url: str, own_model: ScriptedModel) -> None:
    async with RuntimeProcess(database_url, own_model.url) as runtime:
        async with connected(runtime.address, "me") as client:
            session = await client.new_session(agent="universal", title="kept", labels={"a": "1"}, request_id="create")
            events = await client.ask(session.id, "hello", request_id="r-1")
            deleted = await client.new_session(session_id="deleted")
            await client.delete(deleted.id, "delete")
            token = (await client.list_messages(session.id, page_size=1)).next_page_token
            before = await everything(client, session.id)
        await runtime.kill()
        await runtime.start()
        async with connected(runtime.address, "me") as client:
            assert await everything(client, session.id) == before
            assert await client.log(session.id) == events
            assert await client.ask(session.id, "hello", request_id="r-1") == events
            assert (
                await client.new_session(agent="universal", title="kept", labels={"a": "1"}, request_id="create")
                == before[0]
            )
            await client.delete("deleted", "delete")
            rest = await client.list_messages(session.id, page_token=token)
            assert [message.ordinal for message in rest.messages] == [2]
            assert (await client.ask(session.id, "and on"))[-1].HasField("turn_completed")


async def everything(client: RuntimeClient, session_id: str) -> list[Any]:
    """What can be read of a session."""
    return [
        await client.session(session_id),
        await client.list_sessions(),
        (await client.list_messages(session_id)).messages,
        (await client.list_turns(session_id)).turns,
        (await client.usage_stats()).stats,
    ]


async def test_after_kill_9_amid_several_turns_all_of_them_finish(database_url: str) -> None:
    names = [f"s{number}" for number in range(6)]
    async with (
        running_scripted_model(
            reply(text("first words "), gate("crash"), text("lost words"), times=len(names)),
            reply(text("whole answer"), repeat=True),
        ) as model,
        RuntimeProcess(database_url, model.url, {"LEASE": "2"}) as runtime,
    ):
        async with connected(runtime.address, "me") as client:

            async def begin(name: str) -> list[Event]:
                await client.new_session(session_id=name, agent="universal")
                return await read_until(client.send(name, "go", request_id=name), said("first words "))

            seen = dict(zip(names, await asyncio.gather(*(begin(name) for name in names)), strict=True))
            await runtime.kill()
        await runtime.start()
        async with connected(runtime.address, "me") as client:

            async def finish(name: str) -> list[Event]:
                return await read_until(client.watch(name, after_sequence=seen[name][-1].sequence), ended)

            async with asyncio.timeout(15):
                rests = dict(zip(names, await asyncio.gather(*(finish(name) for name in names)), strict=True))
            for name in names:
                log = await client.log(name)
                assert log == seen[name] + rests[name]
                assert [event.sequence for event in log] == list(range(1, len(log) + 1))
                assert kinds(log).count("attempt_restarted") == 1
                assert log[-1].turn_completed.result_text == "whole answer"
                assert (await client.session(name)).active_turn_id == ""
                (turn,) = (await client.list_turns(name)).turns
                assert turn.model_calls == 1  # the same call, asked for again
            assert (await model.counts())["refused"] == 0
