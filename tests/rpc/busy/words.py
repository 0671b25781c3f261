"""Words for what is said while a turn is active."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import grpc

from agent_runtime.v1 import input_pb2, message_service_pb2, turn_pb2
from devtools.scripted_model import Reply, ScriptedModel, gate, reply, text
from tests.support.runtime_client import Event, Item, RuntimeClient, read_rest, read_until, said

Stream = grpc.aio.UnaryStreamCall[message_service_pb2.SendMessageRequest, Item]

QUEUE = input_pb2.BUSY_POLICY_QUEUE
STEER = input_pb2.BUSY_POLICY_STEER
INTERRUPT = input_pb2.BUSY_POLICY_INTERRUPT
REJECT = input_pb2.BUSY_POLICY_REJECT


@dataclass(frozen=True)
class Busy:
    """A session whose turn runs: its model has said "half " and waits at the gate "go on"."""

    session_id: str
    turn_id: str
    stream: asyncio.Task[list[Event]]


def half_said(rest: str = "a sentence") -> Reply:
    """An answer that is held in the middle of it."""
    return reply(text("half "), gate("go on"), text(rest))


async def busy(client: RuntimeClient, model: ScriptedModel, *replies: Reply, agent: str = "coder") -> Busy:
    """A new session in the middle of its first answer; `replies` are what the model says after that."""
    await model.play(half_said(), *replies)
    session = await client.new_session(agent=agent)
    stream = client.send(session.id, "go")
    events = await read_until(stream, said("half "))
    await model.held("go on")
    return Busy(session.id, events[0].turn_id, asyncio.create_task(rest_of(stream)))


async def first_of(stream: Stream) -> Event:
    """The event with which a stream begins."""
    item: Any = await stream.read()
    event: Event = item.event
    return event


async def rest_of(stream: Stream) -> list[Event]:
    """The events that a stream still has."""
    return [item.event for item in await read_rest(stream)]


async def wait_in(client: RuntimeClient, session_id: str, words: str, policy: Any, **options: Any) -> Event:
    """Sends a message that waits; its InputAccepted."""
    (accepted,) = await client.ask(session_id, words, busy_policy=policy, detach=True, **options)
    return accepted


async def begun(
    client: RuntimeClient, session_id: str, words: str, policy: Any, **options: Any
) -> tuple[Event, Stream]:
    """Sends a message and returns its InputAccepted, the stream still open."""
    stream = client.send(session_id, words, busy_policy=policy, **options)
    return await first_of(stream), stream


async def pending(client: RuntimeClient, session_id: str, **page: Any) -> list[input_pb2.PendingInput]:
    """A page of the messages that wait."""
    request = message_service_pb2.ListPendingInputsRequest(session_id=session_id, **page)
    return list((await client.messages.ListPendingInputs(request, metadata=client.metadata)).pending_inputs)


async def waiting(client: RuntimeClient, session_id: str) -> list[str]:
    """What is said by the messages that wait."""
    return [each.user_message.text for each in await pending(client, session_id)]


async def waiting_in_snapshot(client: RuntimeClient, session_id: str) -> list[input_pb2.PendingInput]:
    """The messages that wait, as a snapshot shows them."""
    watch = client.watch(session_id, snapshot=True)
    item: Any = await watch.read()
    watch.cancel()
    return list(item.snapshot.pending_inputs)


async def withdraw(
    client: RuntimeClient, session_id: str, input_id: str, request_id: str = ""
) -> input_pb2.PendingInput:
    request = message_service_pb2.WithdrawInputRequest(session_id=session_id, input_id=input_id, request_id=request_id)
    return (await client.messages.WithdrawInput(request, metadata=client.metadata)).pending_input


async def cancel_all(client: RuntimeClient, session_id: str) -> message_service_pb2.CancelTurnResponse:
    """Cancels the active turn and takes back whatever waits."""
    request = message_service_pb2.CancelTurnRequest(session_id=session_id, withdraw_pending=True)
    return await client.messages.CancelTurn(request, metadata=client.metadata)


async def resume(client: RuntimeClient, session_id: str, **limits: Any) -> list[Event]:
    """Resumes and returns all events of the stream; `limits` are new ones."""
    given = turn_pb2.TurnLimits(**limits) if limits else None
    return [item.event async for item in client.send_input(session_id, resume=input_pb2.Resume(limits=given))]


async def history(client: RuntimeClient, session_id: str) -> list[str]:
    """What is said by the messages of the session."""
    return [message.content for message in (await client.list_messages(session_id, page_size=500)).messages]


def asked_by(request: dict[str, Any]) -> str:
    """The last words of a person that the model was sent."""
    return [str(message["content"]) for message in request["messages"] if message["role"] == "user"][-1]
