"""Whatever a call causes, now or later, here or elsewhere, is tied to it: by its id and by the caller's trace."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message

from agent_runtime.v1 import input_pb2, session_service_pb2, session_stream_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, When, call, gate, refusal, reply, text, tool_calls
from tests.rpc.conftest import ONE_ATTEMPT
from tests.support.runtime_client import RuntimeClient, connected, kinds, read_until, text_result
from tests.support.unlimited import UNLIMITED

TRACES = {"one": f"00-{'a' * 32}-{'a' * 16}-00", "two": f"00-{'b' * 32}-{'b' * 16}-01"}


REQUESTS: dict[str, Callable[[str], Message]] = {
    "GetSession": lambda known: session_service_pb2.GetSessionRequest(session_id=known),
    "Unknown": lambda _: session_service_pb2.GetSessionRequest(session_id="not-there"),
    "ListSessions": lambda _: session_service_pb2.ListSessionsRequest(),
    "CreateSession": lambda _: session_service_pb2.CreateSessionRequest(),
    "WatchSession": lambda known: session_stream_pb2.WatchSessionRequest(session_id=known, after_sequence=0),
}


def tied(client: RuntimeClient, correlation_id: str, traceparent: str = "") -> None:
    """From now on the client's calls bear these."""
    own = [("x-owner-id", client.owner), ("x-correlation-id", correlation_id)]
    client.metadata = (*own, *([("traceparent", traceparent)] if traceparent else []))


def lines_of(runtime: RuntimeProcess) -> list[dict[str, Any]]:
    """Every line the server has logged so far, but for its greeting to people; each is one JSON object."""
    lines = runtime.log.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if not line.startswith("agent-runtime: ")]


def ties(calls: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """Under which ids, and in which traces, the model was asked."""
    return [(call["headers"]["x-correlation-id"], call["headers"]["traceparent"].split("-")[1]) for call in calls]


async def test_a_turn_keeps_the_id_and_the_trace_of_its_message_through_other_calls_and_other_servers(
    own_model: ScriptedModel, tmp_path: Path
) -> None:
    model = own_model
    await model.play(
        reply(tool_calls(call("read_file", {"path": "a.py"}, id="call_1"))),
        reply(text("half "), gate("crash"), text("not said")),
        reply(text("whole")),
        reply(text("the next one")),
    )
    settings = ONE_ATTEMPT | {"LEASE": "2", "DRAIN_DELAY": "0"}
    async with RuntimeProcess(f"sqlite:///{tmp_path / 'runtime.db'}", model.url, settings) as runtime:
        async with connected(runtime.address, "ann") as client:
            tied(client, "the-message", TRACES["one"])
            session = await client.new_session(agent="universal")
            await client.ask(session.id, "read it")
        await runtime.terminate()
        await runtime.start()
        async with connected(runtime.address, "ann") as client:
            tied(client, "the-result", TRACES["two"])
            given = input_pb2.ToolResults(results=[text_result("call_1", "x = 1")])
            stream = client.send_input(session.id, tool_results=given)
            await model.held("crash")
            # It waits for the turn, and then has one of its own.
            tied(client, "the-queued", TRACES["two"])
            queue = input_pb2.BUSY_POLICY_QUEUE
            await client.ask(session.id, "and then?", busy_policy=queue, detach=True)
            stream.cancel()
        await runtime.kill()
        await model.release("crash")
        await runtime.start()
        async with connected(runtime.address, "ann") as client:
            tied(client, "a-watcher")
            log = await read_until(
                client.watch(session.id, after_sequence=0), lambda events: kinds(events).count("turn_completed") == 2
            )
        lines = lines_of(runtime)
    trace_one, trace_two = ("a" * 32, "b" * 32)
    calls = await model.calls()
    assert ties(calls) == [("the-message", trace_one)] * 3 + [("the-queued", trace_two)]
    assert len({call["headers"]["traceparent"].split("-")[2] for call in calls}) == 4  # a span for each request
    assert {call["headers"]["traceparent"].split("-")[3] for call in calls[:3]} == {"00"}

    by_call: dict[str, set[str]] = {}
    for event in log:
        by_call.setdefault(event.correlation_id, set()).add(str(event.WhichOneof("payload")))
    assert set(by_call) == {"the-message", "the-result", "the-queued"}
    assert by_call["the-result"] == {"input_accepted", "tool_result_recorded", "message_added", "turn_resumed"}
    assert {"text_delta", "attempt_restarted", "turn_completed"} <= by_call["the-message"]
    assert {"input_accepted", "turn_started", "turn_completed"} <= by_call["the-queued"]

    (taken_up,) = [line for line in lines if line["event"] == "a turn is taken up again"]
    assert (taken_up["correlation_id"], taken_up["turn_id"]) == ("the-message", log[0].turn_id)
    traced = {line["correlation_id"]: line.get("trace_id") for line in lines if line["event"] == "rpc"}
    assert (traced["the-message"], traced["the-queued"]) == (trace_one, trace_two)


async def test_what_is_logged_about_a_turn_bears_its_id_though_another_call_set_it_going(
    own_model: ScriptedModel, tmp_path: Path
) -> None:
    model = own_model
    routing = When(has_tools=False)
    await model.play(refusal(500, when=routing, repeat=True), reply(gate("first"), text("done")), reply(text("done")))
    url = f"sqlite:///{tmp_path / 'runtime.db'}"
    async with RuntimeProcess(url, model.url, ONE_ATTEMPT) as runtime, connected(runtime.address) as client:
        session = await client.new_session(agent="universal")
        tied(client, "the-first")
        await client.ask(session.id, "hello", detach=True)
        await model.held("first")
        tied(client, "the-second", TRACES["two"])
        queue = input_pb2.BUSY_POLICY_QUEUE
        following = client.send(session.id, "write code", agent="orchestrator", busy_policy=queue)
        await anext(aiter(following))
        await model.release("first")
        events = [item.event async for item in following]
        failed = [line for line in lines_of(runtime) if line["event"].startswith("the router's model call failed")]
    assert [(line["correlation_id"], line["trace_id"]) for line in failed] == [("the-second", "b" * 32)]
    assert failed[0]["turn_id"] == events[-1].turn_id


async def test_a_thousand_calls_at_once_and_every_line_bears_its_own_id(tmp_path: Path) -> None:
    """Some are refused, some are cancelled at once, in the middle or too late."""
    rng = random.Random(7)
    url = f"sqlite:///{tmp_path / 'runtime.db'}"
    settings = {"LOG_LEVEL": "DEBUG"} | UNLIMITED
    methods: dict[str, str] = {}
    cancelled: set[str] = set()
    async with RuntimeProcess(url, "http://127.0.0.1:1/v1", settings) as runtime, connected(runtime.address) as client:
        session = await client.new_session(agent="universal")
        at_once = asyncio.Semaphore(50)

        async def one(n: int) -> None:
            kind = ("GetSession", "ListSessions", "Unknown", "WatchSession", "CreateSession")[n % 5]
            name = f"mixed-{n}"
            metadata = (*client.metadata, ("x-correlation-id", name))
            methods[name] = "GetSession" if kind == "Unknown" else kind
            async with at_once:
                stub = client.messages if kind == "WatchSession" else client.sessions
                made: Any = getattr(stub, methods[name])(REQUESTS[kind](session.id), metadata=metadata)
                if n % 10 >= 8 or kind == "WatchSession":
                    cancelled.add(name)
                    await asyncio.sleep(rng.choice((0.0, 0.001, 0.005, 0.02)))
                    made.cancel()
                try:
                    if kind == "WatchSession":
                        await made.read()
                    else:
                        await made
                except (grpc.aio.AioRpcError, asyncio.CancelledError):
                    pass

        await asyncio.gather(*(one(n) for n in range(1_000)))
        assert await runtime.terminate() == 0
        lines = lines_of(runtime)
    ours = [line for line in lines if str(line.get("correlation_id")).startswith("mixed-")]
    seen = [line["correlation_id"] for line in ours if line["event"] == "rpc"]
    assert len(seen) == len(set(seen))
    assert set(methods) - set(seen) <= cancelled  # what was cancelled soon enough never came
    assert {line["correlation_id"] for line in ours} == set(seen)
    calls = [line for line in lines if line["event"] == "rpc"]
    assert [line for line in calls if "correlation_id" not in line] == []
    ended_as = {line["correlation_id"]: line["method"].rpartition("/")[2] for line in calls if line in ours}
    assert ended_as == {name: methods[name] for name in seen}
    assert {line["code"] for line in calls} >= {"OK", "NOT_FOUND", "CANCELLED"}
