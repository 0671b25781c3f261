"""The client that docs/clients.md shows is run as its readers would: as a script, against the real server."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import (
    ScriptedModel,
    When,
    call,
    gate,
    refusal,
    reply,
    running_scripted_model,
    text,
    tool_calls,
)
from devtools.scripted_model.script import parse_script

_PROJECT = Path(__file__).parents[2]
_PAGE = (_PROJECT / "docs/clients.md").read_text()
_TIMEOUT = 60
# The router's question, which a session with one agent never asks.
_ROUTED = reply(
    text('{"agent": "coder", "confidence": "high", "reason": "as the test wants it"}'),
    when=When(system_contains="You route requests"),
)

Asking = Callable[..., Coroutine[Any, Any, asyncio.subprocess.Process]]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Where the program runs: a file to work on, and a link that leads out."""
    path = tmp_path / "workspace"
    path.mkdir()
    (path / "hello.py").write_text("print('Helo')\n")
    (path / "out").symlink_to(tmp_path)
    return path


@pytest.fixture
async def ask(tmp_path: Path, workspace: Path) -> AsyncIterator[Asking]:
    """Starts the program of the page, with what the person types already there."""
    (program,) = re.findall(r"```python\n(.*?)```", _PAGE, re.DOTALL)
    path = tmp_path / "ask.py"
    path.write_text(program)
    started: list[asyncio.subprocess.Process] = []

    async def start(
        address: str, session_id: str = "documented", typed: str = "", question: str = "How are you?"
    ) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(path), address, session_id, question),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=workspace,
            env=os.environ | {"PYTHONPATH": str(_PROJECT / "generated"), "GRPC_VERBOSITY": "NONE"},
        )
        started.append(process)
        assert process.stdin is not None
        process.stdin.write(typed.encode())
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _output(process: asyncio.subprocess.Process) -> tuple[str, str]:
    async with asyncio.timeout(_TIMEOUT):
        output, errors = await process.communicate()
    return output.decode(), errors.decode()


async def _read_through(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(_TIMEOUT):
        return (await process.stdout.readuntil(words.encode())).decode()


async def _results(model: ScriptedModel) -> dict[str, str]:
    """What the model was told of each call, by its id."""
    messages = (await model.calls())[-1]["body"]["messages"]
    return {message["tool_call_id"]: message["content"] for message in messages if message["role"] == "tool"}


def _free_port() -> int:
    """A port that stays free while the server is down: below those that the system gives to outgoing connections."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


async def test_it_shows_an_answer(ask: Asking, runtime: RuntimeProcess, model: ScriptedModel) -> None:
    await model.play(_ROUTED, reply(text("Fine, thank you.")))
    output, errors = await _output(await ask(runtime.address, "answered"))
    assert output.endswith("Fine, thank you.\n[16 characters]\n")
    assert errors == ""


async def test_it_says_why_a_turn_failed(ask: Asking, runtime: RuntimeProcess, model: ScriptedModel) -> None:
    await model.play(_ROUTED, refusal(503))
    _, errors = await _output(await ask(runtime.address, "failed"))
    assert "RuntimeError: ERROR_REASON_LLM_UNAVAILABLE: the model provider is busy" in errors


async def test_it_gives_up_where_coming_back_does_not_help(ask: Asking, runtime: RuntimeProcess) -> None:
    _, errors = await _output(await ask(runtime.address, "not a session id"))
    assert "StatusCode.INVALID_ARGUMENT" in errors


async def test_it_runs_tools_and_asks_before_it_writes(
    ask: Asking, runtime: RuntimeProcess, model: ScriptedModel, workspace: Path
) -> None:
    await model.play(
        _ROUTED,
        reply(
            tool_calls(
                call("read_file", {"path": "hello.py", "start_line": 1}, id="c_read"),
                call("read_file", {"path": "out/ask.py"}, id="c_out"),
                call("execute_command", {"command": "true"}, id="c_run"),
                call("write_file", {"path": "new/hello.py", "content": "print('Hello')\n"}, id="c_write"),
            )
        ),
        reply(tool_calls(call("attempt_completion", {"result": "It says Hello now."}))),
    )
    output, errors = await _output(await ask(runtime.address, "worked", typed="y\ny\n"))
    assert (errors, output.splitlines()[-2:]) == ("", ["It says Hello now.", "[18 characters]"])
    assert "path: new/hello.py\ncontent: 2 lines, 15 bytes\n| print('Hello')" in output
    assert (workspace / "new/hello.py").read_text() == "print('Hello')\n"
    assert await _results(model) == {
        "c_read": "print('Helo')\n",
        "c_out": "out/ask.py leads out of the workspace",
        "c_run": "this client cannot run execute_command",
        "c_write": '{"created": true}',
    }


async def test_a_no_goes_to_the_model_with_its_words(
    ask: Asking, runtime: RuntimeProcess, model: ScriptedModel, workspace: Path
) -> None:
    await model.play(
        _ROUTED,
        reply(tool_calls(call("write_file", {"path": "hello.py", "content": ""}, id="c_write"))),
        reply(text("Then I leave it.")),
    )
    output, errors = await _output(await ask(runtime.address, "refused", typed="it is fine as it is\n"))
    assert (errors, output.endswith("Then I leave it.\n[16 characters]\n")) == ("", True)
    assert (await _results(model))["c_write"].endswith("They said: it is fine as it is")
    assert (workspace / "hello.py").read_text() == "print('Helo')\n"


@pytest.mark.parametrize(("typed", "read"), [("2\n", "tabs"), ("a mixture\n", "a mixture")])
async def test_it_asks_what_the_agent_wants_to_know(
    ask: Asking, runtime: RuntimeProcess, model: ScriptedModel, typed: str, read: str
) -> None:
    question = {"question": "Tabs or spaces?", "suggestions": ["spaces", "tabs"]}
    await model.play(
        _ROUTED, reply(tool_calls(call("ask_followup_question", question, id="c_ask"))), reply(text("So be it."))
    )
    output, errors = await _output(await ask(runtime.address, f"asked_{len(read)}", typed=typed))
    assert (errors, output.endswith("So be it.\n[9 characters]\n")) == ("", True)
    assert "Tabs or spaces?\n  1. spaces\n  2. tabs\n" in output
    assert await _results(model) == {"c_ask": read}


async def test_it_prints_what_the_page_shows(ask: Asking, tmp_path: Path, workspace: Path) -> None:
    (shown,) = re.findall(r"^```\n(\[coder\]\n.*?)^```", _PAGE, re.DOTALL | re.MULTILINE)
    script = parse_script((_PROJECT / "docs/first-session.json").read_bytes())
    async with (
        running_scripted_model(*script.replies) as model,
        RuntimeProcess(f"sqlite:///{tmp_path / 'runtime.db'}", model.url) as runtime,
    ):
        process = await ask(runtime.address, typed="y\n", question="Make hello.py say Hello")
        output, errors = await _output(process)
    assert (output, errors) == (shown.replace("why not] y\n", "why not] "), "")
    assert (workspace / "hello.py").read_text() == "print('Hello')\n"


async def test_it_survives_a_crash_and_a_stop_of_the_server(ask: Asking, database_url: str) -> None:
    listen = {"LISTEN": f"127.0.0.1:{_free_port()}", "LEASE": "1", "AGENT_MODE": "multi"}
    answers = (
        _ROUTED,
        reply(text("Fine "), gate("crash"), text("never said")),
        reply(text("Well "), gate("stop"), text("never said")),
        reply(text("Very well, thank you.")),
    )
    async with (
        running_scripted_model(*answers) as model,
        RuntimeProcess(database_url, model.url, listen) as runtime,
    ):
        client = await ask(runtime.address)
        shown = await _read_through(client, "Fine ")
        await runtime.kill()
        await runtime.start()
        shown += await _read_through(client, "Well ")
        await runtime.terminate()
        await runtime.start()
        rest, errors = await _output(client)
        shown += rest
        assert (errors, client.returncode) == ("", 0)
        assert shown.endswith("\nVery well, thank you.\n[21 characters]\n")
        assert shown.count("[void: msg_") == 2
        assert "never said" not in shown
        assert (await model.counts())["calls"] == 4
