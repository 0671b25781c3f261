"""Everything the story needs around it: a model, a server on a database file, a wire, a client and a project."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from rich.console import Console

from agent_runtime.v1.message_service_pb2_grpc import MessageServiceStub
from agent_runtime.v1.session_event_pb2 import SessionEvent
from agent_runtime.v1.session_stream_pb2 import WatchSessionRequest
from client.channel import open_channel
from client.chat.screen import Screen
from client.reconnection import Reconnecting, ReconnectPolicy
from client.runtime_client import RuntimeClient
from client.tools.toolbox import Toolbox
from client.tools.workspace import Workspace
from devtools.demo.dialogue import Dialogue
from devtools.demo.project import Project, temporary_project
from devtools.demo.verdicts import Verdicts
from devtools.demo.watcher import Watcher
from devtools.demo.wire import Wire
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import Reply, ScriptedModel, running_scripted_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One session with all that surrounds it. `comebacks` grows whenever a client's connection had to be made anew."""

    screen: Screen
    model: ScriptedModel
    server: RuntimeProcess
    wire: Wire
    project: Project
    channel: grpc.aio.Channel
    client: RuntimeClient
    dialogue: Dialogue
    watcher: Watcher
    comebacks: list[Reconnecting]
    verdicts: Verdicts = field(default_factory=Verdicts)

    async def kill_and_restart(self) -> None:
        """Ends the server as a crash would, and starts it again on the same database."""
        await self.server.kill()
        self.wire.cut()
        await self.server.start()
        self.wire.lead_to(self.server.address)

    async def log(self, after: int = 0) -> list[SessionEvent]:
        """The session's events after a number, as the server sends them now: nothing removes doubles here."""
        request = WatchSessionRequest(session_id=self.dialogue.session_id, after_sequence=after, stop_at_head=True)
        stream = MessageServiceStub(self.channel).WatchSession(request, wait_for_ready=True)
        return [item.event async for item in stream if item.HasField("event")]

    async def last_model_request(self) -> dict[str, Any]:
        """The body of the newest request the model got."""
        body: dict[str, Any] = (await self.model.calls())[-1]["body"]
        return body


@asynccontextmanager
async def set_stage(console: Console, replies: tuple[Reply, ...]) -> AsyncIterator[Stage]:
    """A stage with an empty session; leaving it ends every process and removes every file."""
    comebacks: list[Reconnecting] = []
    async with AsyncExitStack() as stack:
        project = stack.enter_context(temporary_project())
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="agent-runtime-demo-"))
        model = await stack.enter_async_context(running_scripted_model(*replies))
        server = await stack.enter_async_context(RuntimeProcess(f"sqlite:///{Path(data, 'demo.db')}", model.url))
        wire = await stack.enter_async_context(Wire())
        wire.lead_to(server.address)
        channel = await stack.enter_async_context(open_channel(wire.address))
        client = RuntimeClient(channel, policy=ReconnectPolicy(tell=comebacks.append))
        session_id = (await client.create_session()).session.id
        screen = Screen(console)
        yield Stage(
            screen=screen,
            model=model,
            server=server,
            wire=wire,
            project=project,
            channel=channel,
            client=client,
            dialogue=Dialogue(client, session_id, Toolbox(Workspace(project.root)), screen),
            watcher=await stack.enter_async_context(Watcher(client, session_id)),
            comebacks=comebacks,
        )
