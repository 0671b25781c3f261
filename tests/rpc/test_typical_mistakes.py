"""Mistakes that every client's author makes once, with plain generated stubs: each is told in a way that helps.

docs/clients.md lists them, and README shows two; both must say what really comes.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo
from grpc_status import rpc_status

from agent_runtime.v1 import (
    approval_pb2,
    input_pb2,
    message_service_pb2,
    session_pb2,
    session_service_pb2,
    session_stream_pb2,
)
from agent_runtime.v1.message_service_pb2_grpc import MessageServiceStub
from agent_runtime.v1.session_service_pb2_grpc import SessionServiceStub
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, call, reply, tool_calls

ROOT = Path(__file__).parents[2]
KEY = "a-key-of-the-ide-" + "0123456789abcdef"
GOOD = (("authorization", f"Bearer {KEY}"),)
SESSION, DONE = "busy", "done"
_SETTINGS = {"DEV": "false", "KEYS": json.dumps([{"key": KEY, "name": "ide", "owner": "ann"}])}


@dataclass
class Server:
    """A server on which a turn waits in one session, for a result and for a decision."""

    sessions: Any
    messages: Any
    approval_id: str = ""

    async def send(self, session_id: str, **fields: Any) -> list[Any]:
        request = message_service_pb2.SendMessageRequest(session_id=session_id, **fields)
        return [item async for item in self.messages.SendMessage(request, metadata=GOOD)]

    async def say(self, session_id: str, text: str, **fields: Any) -> list[Any]:
        return await self.send(session_id, user_message=input_pb2.UserMessage(text=text), **fields)

    async def give(self, session_id: str, call_id: str, text: str) -> list[Any]:
        result = input_pb2.ToolResult(tool_call_id=call_id, text=text)
        return await self.send(session_id, tool_results=input_pb2.ToolResults(results=[result]))

    async def decide(self, arguments_hash: str) -> list[Any]:
        approve = input_pb2.ApprovalDecision(
            approval_id=self.approval_id, arguments_hash=arguments_hash, decision=approval_pb2.DECISION_APPROVE
        )
        return await self.send(SESSION, approval_decision=approve)

    async def list(self, metadata: Any = GOOD, **fields: Any) -> Any:
        return await self.sessions.ListSessions(session_service_pb2.ListSessionsRequest(**fields), metadata=metadata)

    async def watch(self, after: int) -> Any:
        request = session_stream_pb2.WatchSessionRequest(session_id=SESSION, after_sequence=after)
        return await self.messages.WatchSession(request, metadata=GOOD).read()

    async def other_filter(self) -> None:
        token = (await self.list(page_size=1)).next_page_token
        await self.list(page_size=1, page_token=token, states=[session_pb2.SESSION_STATE_ACTIVE])

    async def two_bodies(self) -> None:
        await self.say(DONE, "one", request_id="m-1")
        await self.say(DONE, "another", request_id="m-1")


MISTAKES: dict[str, Callable[[Server], Awaitable[object]]] = {
    "a wrong key": lambda server: server.list(metadata=(("authorization", "Bearer wrong"),)),
    "`x-owner-id` with a key that is no gateway's": lambda server: server.list(metadata=(*GOOD, ("x-owner-id", "bob"))),
    "a message without text": lambda server: server.say(SESSION, ""),
    "a negative `page_size`": lambda server: server.list(page_size=-1),
    "a session that is not there": lambda server: server.say("not-there", "hello"),
    "a second message while a turn is active": lambda server: server.say(SESSION, "and another thing"),
    "a decision with another hash than was shown": lambda server: server.decide("0" * 64),
    "another body under the same `request_id`": lambda server: server.two_bodies(),
    "another result for a call that has one": lambda server: server.give(SESSION, "call_1", "x = 2"),
    "a cursor beyond the end of the log": lambda server: server.watch(1_000_000),
    "a page token with another filter": lambda server: server.other_filter(),
    "a message over 256 KiB": lambda server: server.say(SESSION, "x" * 300_000),
    "a request over 8 MiB": lambda server: server.say(SESSION, "x" * 9_000_000),
}


@pytest.fixture(scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory, shared_model: ScriptedModel) -> AsyncIterator[Server]:
    await shared_model.reset()
    url = f"sqlite:///{tmp_path_factory.mktemp('mistakes') / 'runtime.db'}"
    write = call("write_file", {"path": "a.py", "content": "x"}, id="call_2")
    read = (call("read_file", {"path": path}, id=id) for path, id in (("a.py", "call_1"), ("b.py", "call_3")))
    await shared_model.play(reply(tool_calls(*read, write)))
    async with (
        RuntimeProcess(url, shared_model.url, _SETTINGS) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        running = Server(SessionServiceStub(channel), MessageServiceStub(channel))
        for name in (SESSION, DONE):
            made = session_service_pb2.CreateSessionRequest(session_id=name, agent="coder")
            await running.sessions.CreateSession(made, metadata=GOOD)
        events = [item.event for item in await running.say(SESSION, "go")]
        (asked,) = [event.approval_requested for event in events if event.HasField("approval_requested")]
        running.approval_id = asked.approval.id
        await running.give(SESSION, "call_1", "x = 1")
        yield running


@dataclass(frozen=True)
class Told:
    """What a client can read without a helper of ours."""

    code: str
    message: str
    reason: str
    fields: dict[str, str]
    metadata: dict[str, str]
    details: list[dict[str, Any]]


async def told(server: Server, mistake: str) -> Told:
    try:
        answer = await MISTAKES[mistake](server)
    except grpc.aio.AioRpcError as error:
        status: Any = rpc_status.from_call(error)  # type: ignore[arg-type]
        info, bad = ErrorInfo(), BadRequest()
        packed = list(status.details) if status is not None else []
        for detail in packed:
            detail.Unpack(info)
            detail.Unpack(bad)
        return Told(
            error.code().name,
            error.details() or "",
            info.reason,
            {violation.field: violation.description for violation in bad.field_violations},
            dict(info.metadata),
            [MessageToDict(detail) for detail in packed],
        )
    (accepted,) = [item.event.input_accepted for item in answer[:1]]  # type: ignore[index]
    raise AssertionError(f"{mistake} was accepted: {accepted}")


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_it_is_told_as_the_page_says(server: Server, mistake: str) -> None:
    table = re.findall(r"^\| (.+?) \| (\w+) \| (.*?) \| (.*?) \|", _section("Typical mistakes"), re.MULTILINE)
    (said,) = [row for row in table if row[0] == mistake]
    heard = await told(server, mistake)
    named = [*heard.fields, *sorted(heard.metadata)]
    assert said[1:] == (heard.code, f"`{heard.reason}`" if heard.reason else "-", _listed(named))
    assert heard.message
    assert all(heard.fields.values())


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "-"


def _section(heading: str) -> str:
    return (ROOT / "docs/clients.md").read_text().split(f"# {heading}\n", 1)[1].split("\n#", 1)[0]


@pytest.mark.parametrize("mistake", ["a second message while a turn is active", "a message over 256 KiB"])
async def test_readme_shows_what_really_comes(server: Server, mistake: str) -> None:
    heard = await told(server, mistake)
    shown = [
        block
        for block in re.findall(r"^ERROR:\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
        if f"  Message: {heard.message}\n" in block
    ]
    assert len(shown) == 1, heard
    assert f"  Code: {heard.code.title().replace('_', '')}\n" in shown[0]
    details = [json.loads(line) for line in re.findall(r"\d\)\t(.*)", shown[0])]
    assert _without_ids(details) == _without_ids(heard.details)


def _without_ids(details: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(re.sub(r"turn_[0-9a-f]{32}", "turn_…", json.dumps(details)))
    return found


def test_there_are_ten_and_more() -> None:
    rows = re.findall(r"^\| (?!Mistake|-)(.+?) \|", _section("Typical mistakes"), re.MULTILINE)
    assert rows == list(MISTAKES)
