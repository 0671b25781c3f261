"""The client with the real server: it streams, comes back after a cut or a crash, and finds its session again."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

from agent_runtime.v1.input_pb2 import UserMessage
from client import Reconnecting, ReconnectPolicy, connect
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, call, gate, reply, running_scripted_model, text, tool_calls
from tests.rpc.client.terminal import terminal
from tests.support.tcp_relay import relay_to


def _free_port() -> int:
    """A port that stays free while the server is down: below those that the system gives to outgoing connections."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def _chat(address: str, workspace: Path, session_id: str, agent: str = "universal") -> tuple[str, ...]:
    """A chat as an owner of its own; the session begins with an agent, so that no router asks the model first."""
    place = ("--address", address, "--workspace", str(workspace), "--owner", f"chat-{workspace.name}")
    return ("-m", "client.chat", *place, "--session", session_id, "--agent", agent)


async def test_a_cut_connection_loses_and_repeats_nothing(runtime: RuntimeProcess, model: ScriptedModel) -> None:
    await model.play(reply(text("one two "), gate("cut"), text("three four")))
    told: list[Reconnecting] = []
    async with (
        relay_to(f"grpc://{runtime.address}") as relay,
        connect(f"127.0.0.1:{relay.port}", owner="cut-off", policy=ReconnectPolicy(tell=told.append)) as client,
    ):
        session = (await client.create_session(agent="universal")).session
        events, streamed = [], ""
        async for event in client.send(session.id, UserMessage(text="count")):
            events.append(event)
            streamed += event.text_delta.text
            if streamed == "one two " and not told:
                await relay.cut()
                await relay.mend()
                await model.release("cut")
    assert told
    first = events[0].sequence
    assert [event.sequence for event in events] == list(range(first, first + len(events)))
    assert streamed == "one two three four"
    assert events[-1].turn_completed.result_text == "one two three four"


async def test_a_chat_survives_a_crash_of_the_server(tmp_path: Path) -> None:
    port = _free_port()
    answers = (reply(text("Fine "), gate("crash"), text("never said")), reply(text("Very well, thank you.")))
    async with (
        running_scripted_model(*answers) as model,
        RuntimeProcess(
            f"sqlite:///{tmp_path / 'chat.db'}", model.url, {"LISTEN": f"127.0.0.1:{port}", "LEASE": "1"}
        ) as runtime,
        terminal(*_chat(runtime.address, tmp_path, "crash")) as it,
    ):
        await it.shows("you ▸ ")
        await it.type("how are you?\r")
        await it.shows("Fine ")
        await runtime.kill()
        await it.shows("the connection is away")
        await runtime.start()
        await it.shows("the answer above is void")
        await it.shows("Very well, thank you.")
        await it.shows("you ▸ ")
        await it.type("/history\r")
        await it.shows("Very well, thank you.")
        await it.type("\x04")
        assert await it.end() == 0
    assert "never said" not in it.screen


async def test_a_new_chat_takes_up_a_turn_in_the_middle(
    runtime: RuntimeProcess, model: ScriptedModel, tmp_path: Path
) -> None:
    await model.play(reply(text("one two "), gate("left"), text("three four")))
    chat = _chat(runtime.address, tmp_path, "left")
    async with terminal(*chat) as it:
        await it.shows("you ▸ ")
        await it.type("count\r")
        await it.shows("two ")
    async with terminal(*chat) as it:
        await it.shows("you ▸ count")
        await it.shows("one two ")
        await model.release("left")
        await it.shows("three four")
        await it.shows("you ▸ ")
        await it.type("/session\r")
        await it.shows("history 2 of 1000 messages")
        await it.type("\x04")
        assert await it.end() == 0


async def test_tools_run_where_the_person_is(runtime: RuntimeProcess, model: ScriptedModel, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("alpha\n")
    await model.play(
        reply(tool_calls(call("read_file", {"path": "a.txt"}), call("list_files", {}))),
        reply(tool_calls(call("write_file", {"path": "b.txt", "content": "beta\n"}))),
        reply(tool_calls(call("execute_command", {"command": "cat b.txt; exit 3"}))),
        reply(tool_calls(call("ask_followup_question", {"question": "Enough?", "suggestions": ["yes", "no"]}))),
        reply(tool_calls(call("attempt_completion", {"result": "All **done**."}))),
    )
    async with terminal(*_chat(runtime.address, tmp_path, "coding", agent="coder")) as it:
        await it.shows("you ▸ ")
        await it.type("work\r")
        await it.shows("✓ read_file a.txt · lines 1 to 1 of 1")
        await it.shows("✓ list_files · 1 entry")
        await it.shows("coder wants to create b.txt")
        await it.shows("+beta")
        await it.shows("[n]o")
        await it.type("y\r")
        await it.shows("✓ write_file b.txt · 5 bytes, new file")
        await it.shows("coder wants to run a command")
        await it.shows("$ cat b.txt; exit 3")
        await it.shows("[n]o")
        await it.type("y\r")
        await it.shows("✗ execute_command cat b.txt; exit 3 · exit 3, 1 line of output")
        await it.shows("? Enough?")
        await it.shows("1. yes")
        await it.shows("▸ ")
        await it.type("1\r")
        await it.shows("All done.")
        await it.shows("you ▸ ")
        await it.type("\x04")
        assert await it.end() == 0
    assert (tmp_path / "b.txt").read_text() == "beta\n"
    assert (await model.counts())["refused"] == 0


async def test_an_approval_is_asked_again_by_the_next_chat(
    runtime: RuntimeProcess, model: ScriptedModel, tmp_path: Path
) -> None:
    await model.play(
        reply(tool_calls(call("write_file", {"path": "b.txt", "content": "beta\n"}))),
        reply(text("Then not.")),
    )
    async with terminal(*_chat(runtime.address, tmp_path, "coding", agent="coder")) as it:
        await it.shows("you ▸ ")
        await it.type("write it\r")
        await it.shows("coder wants to create b.txt")
    async with terminal(*_chat(runtime.address, tmp_path, "coding", agent="coder")) as it:
        await it.shows("a turn is active; taking it up")
        await it.shows("coder wants to create b.txt")
        await it.shows("[n]o")
        await it.type("n too early\r")
        await it.shows("rejected")
        await it.shows("Then not.")
        await it.shows("you ▸ ")
        await it.type("\x04")
        assert await it.end() == 0
    assert not (tmp_path / "b.txt").exists()
    rejection = (await model.calls())[-1]["body"]["messages"][-1]
    assert rejection["role"] == "tool"
    assert "too early" in rejection["content"]


async def test_what_is_approved_for_the_session_is_not_asked_about_again(
    runtime: RuntimeProcess, model: ScriptedModel, tmp_path: Path
) -> None:
    first, second = (
        tool_calls(call("write_file", {"path": f"{name}.txt", "content": name}, id=name)) for name in ("one", "two")
    )
    await model.play(reply(first), reply(second), reply(text("Both are there.")))
    async with terminal(*_chat(runtime.address, tmp_path, "remember")) as it:
        await it.shows("you ▸ ")
        await it.type("write\r")
        await it.shows("one.txt")
        await it.shows("▸ ")
        await it.type("a\r")
        await it.shows("Both are there.")
        await it.shows("you ▸ ")
        await it.type("\x04")
        assert await it.end() == 0
    assert [(tmp_path / f"{name}.txt").read_text() for name in ("one", "two")] == ["one", "two"]
