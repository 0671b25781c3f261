"""The main job end to end, for somebody who sees it for the first time: `make demo`.

A scripted model and a real server on embedded SQLite, both as processes of their own, and a plain gRPC client. Every
claim that is printed was checked a moment before; the exit code is 0 only if all held.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import grpc
from rich.console import Console

from agent_runtime.v1 import (
    input_pb2,
    message_service_pb2,
    message_service_pb2_grpc,
    session_event_pb2,
    session_service_pb2,
    session_service_pb2_grpc,
    session_stream_pb2,
    turn_pb2,
)
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, reasoning, reply, scripted_model_process, text

QUESTION = "Why does my loop over a dict fail when I delete keys in it?"
ANSWER = (
    "Because the dict changes size while you iterate over it, and Python refuses to go on: you would see some keys "
    "twice and others never. Iterate over a copy of the keys instead:\n\n"
    "    for key in list(settings):\n"
    "        if settings[key] is None:\n"
    "            del settings[key]\n\n"
    "Or build a new dict with a comprehension, which is shorter and leaves the old one alone."
)
FOLLOW_UP = "And which of the two is faster?"
SECOND_ANSWER = (
    "The comprehension, usually.",
    " Measure it with your own data before you care:\n\n    python -m timeit -s 'd = dict.fromkeys(range(1000))' ...",
)
DELAY = 0.02
SCRIPT = (
    reply(reasoning("The user mutates a dict while iterating. ", chunk_delay=DELAY), text(ANSWER, chunk_delay=DELAY)),
    reply(text(SECOND_ANSWER[0], chunk_delay=DELAY), gate("left"), text(SECOND_ANSWER[1], chunk_delay=DELAY)),
)

Event = session_event_pb2.SessionEvent


class Verdicts:
    """What was promised and whether it held; prints each as it is found."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.all_held = True

    def check(self, held: bool, claim: str) -> None:
        self.all_held &= held
        mark = "[green]held[/]  " if held else "[bold red]BROKEN[/]"
        self._console.print(f"  {mark} {claim}")


class Demo:
    """One session with one server."""

    def __init__(self, channel: grpc.aio.Channel, model: ScriptedModel, console: Console) -> None:
        self._sessions = session_service_pb2_grpc.SessionServiceStub(channel)
        self._messages = message_service_pb2_grpc.MessageServiceStub(channel)
        self._model = model
        self._console = console
        self._verdicts = Verdicts(console)

    async def run(self) -> bool:
        """Tells the story; True when every promise held."""
        created = await self._sessions.CreateSession(session_service_pb2.CreateSessionRequest(title="A first look"))
        session_id = created.session.id
        self._console.rule(f"session {session_id}")
        seen = await self._stream_an_answer(session_id)
        await self._watch_it_again(session_id, seen)
        await self._leave_in_the_middle(session_id, seen)
        return self._verdicts.all_held

    async def _stream_an_answer(self, session_id: str) -> list[Event]:
        self._console.print(f"[bold]you[/]    {QUESTION}")
        self._console.print("[bold]agent[/]  ", end="")
        events: list[Event] = []
        async for item in self._messages.SendMessage(_question(session_id, "demo-1", QUESTION)):
            if item.HasField("event"):
                events.append(item.event)
                self._console.print(item.event.text_delta.text, end="", markup=False, highlight=False)
        self._console.print("\n")
        streamed = "".join(event.text_delta.text for event in events)
        completed = events[-1].turn_completed
        self._verdicts.check(streamed == completed.result_text == ANSWER, "the answer came token by token, and whole")
        numbers = [event.sequence for event in events]
        self._verdicts.check(
            numbers == list(range(1, len(events) + 1)), f"{len(events)} events, numbered without a gap"
        )
        return events

    async def _watch_it_again(self, session_id: str, seen: list[Event]) -> None:
        again = [item.event async for item in self._watch(session_id, after=0)]
        same = [event.SerializeToString(deterministic=True) for event in again]
        self._verdicts.check(
            same == [event.SerializeToString(deterministic=True) for event in seen],
            "watched again from 0, the session is the same, event by event",
        )

    async def _leave_in_the_middle(self, session_id: str, seen: list[Event]) -> None:
        self._console.print(f"\n[bold]you[/]    {FOLLOW_UP}")
        self._console.print("[bold]agent[/]  ", end="")
        call = self._messages.SendMessage(_question(session_id, "demo-2", FOLLOW_UP))
        last, turn_id, streamed = 0, "", ""
        async for item in call:
            last, turn_id = item.event.sequence, item.event.turn_id
            streamed += item.event.text_delta.text
            self._console.print(item.event.text_delta.text, end="", markup=False, highlight=False)
            if streamed == SECOND_ANSWER[0]:
                break
        call.cancel()
        self._console.print("[dim] … the client hangs up here[/]")
        await self._model.release("left")
        # Watching is only to know when it has ended: the turn needs nobody who looks.
        rest = await self._until_the_end(session_id, last)
        for event in rest:
            self._console.print(event.text_delta.text, end="", markup=False, highlight=False)
        self._console.print("\n")
        turn = await self._messages.GetTurn(message_service_pb2.GetTurnRequest(session_id=session_id, turn_id=turn_id))
        self._verdicts.check(
            turn.turn.state == turn_pb2.TURN_STATE_COMPLETED and turn.turn.result_text == "".join(SECOND_ANSWER),
            "the turn finished without its client",
        )
        streamed += "".join(event.text_delta.text for event in rest)
        self._verdicts.check(
            [event.sequence for event in rest] == list(range(last + 1, rest[-1].sequence + 1))
            and streamed == "".join(SECOND_ANSWER),
            f"resumed after event {last}: exactly the rest, nothing lost, nothing repeated",
        )
        self._verdicts.check(last > len(seen), "numbers go on through the whole session")

    async def _until_the_end(self, session_id: str, after: int) -> list[Event]:
        request = session_stream_pb2.WatchSessionRequest(session_id=session_id, after_sequence=after)
        call = self._messages.WatchSession(request)
        rest: list[Event] = []
        async for item in call:
            if item.HasField("event"):
                rest.append(item.event)
                if item.event.WhichOneof("payload") == "turn_completed":
                    break
        call.cancel()
        return rest

    def _watch(
        self, session_id: str, after: int
    ) -> grpc.aio.UnaryStreamCall[session_stream_pb2.WatchSessionRequest, session_stream_pb2.WatchSessionResponse]:
        request = session_stream_pb2.WatchSessionRequest(session_id=session_id, after_sequence=after, stop_at_head=True)
        return self._messages.WatchSession(request)


def _question(session_id: str, request_id: str, words: str) -> message_service_pb2.SendMessageRequest:
    return message_service_pb2.SendMessageRequest(
        session_id=session_id, request_id=request_id, user_message=input_pb2.UserMessage(text=words)
    )


async def main() -> int:
    """Runs the demo; returns the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="agent-runtime-demo-") as directory:
        async with scripted_model_process(*SCRIPT) as model:
            server = RuntimeProcess(f"sqlite:///{Path(directory) / 'demo.db'}", model.url)
            async with server, grpc.aio.insecure_channel(server.address) as channel:
                console.print(f"server on {server.address}, embedded SQLite, scripted model at {model.url}")
                held = await Demo(channel, model, console).run()
                stopped_well = await server.terminate() == 0
    console.rule("[green]all promises held[/]" if held and stopped_well else "[red]a promise was broken[/]")
    return 0 if held and stopped_well else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
