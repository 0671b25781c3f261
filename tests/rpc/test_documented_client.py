"""The client that docs/clients.md shows is run as its readers would: as a script, against the real server."""

from __future__ import annotations

import asyncio
import os
import random
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, gate, refusal, reply, running_scripted_model, text

_PROJECT = Path(__file__).parents[2]
_TIMEOUT = 60


@pytest.fixture
def ask(tmp_path: Path) -> Path:
    """The program of the page, as a file."""
    (program,) = re.findall(r"```python\n(.*?)```", (_PROJECT / "docs/clients.md").read_text(), re.DOTALL)
    path = tmp_path / "ask.py"
    path.write_text(program)
    return path


async def _started(ask: Path, address: str, session_id: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(ask), address, session_id, "How are you?"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(_PROJECT / "generated"), "GRPC_VERBOSITY": "NONE"},
    )


async def _output(process: asyncio.subprocess.Process) -> tuple[str, str]:
    async with asyncio.timeout(_TIMEOUT):
        output, errors = await process.communicate()
    return output.decode(), errors.decode()


async def _read_through(process: asyncio.subprocess.Process, words: str) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(_TIMEOUT):
        return (await process.stdout.readuntil(words.encode())).decode()


def _free_port() -> int:
    """A port that stays free while the server is down: below those that the system gives to outgoing connections."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


async def test_it_shows_an_answer(ask: Path, runtime: RuntimeProcess, model: ScriptedModel) -> None:
    await model.play(reply(text("Fine, thank you.")))
    output, errors = await _output(await _started(ask, runtime.address, "documented"))
    assert (output, errors) == ("Fine, thank you.\n[16 characters]\n", "")


async def test_it_says_why_a_turn_failed(ask: Path, runtime: RuntimeProcess, model: ScriptedModel) -> None:
    await model.play(refusal(503))
    _, errors = await _output(await _started(ask, runtime.address, "documented"))
    assert "RuntimeError: ERROR_REASON_LLM_UNAVAILABLE: the model provider is busy" in errors


async def test_it_gives_up_where_coming_back_does_not_help(ask: Path, runtime: RuntimeProcess) -> None:
    _, errors = await _output(await _started(ask, runtime.address, "not a session id"))
    assert "StatusCode.INVALID_ARGUMENT" in errors


async def test_it_survives_a_crash_and_a_stop_of_the_server(ask: Path, database_url: str) -> None:
    listen = {"LISTEN": f"127.0.0.1:{_free_port()}", "LEASE": "1"}
    answers = (
        reply(text("Fine "), gate("crash"), text("never said")),
        reply(text("Well "), gate("stop"), text("never said")),
        reply(text("Very well, thank you.")),
    )
    async with (
        running_scripted_model(*answers) as model,
        RuntimeProcess(database_url, model.url, listen) as runtime,
    ):
        client = await _started(ask, runtime.address, "documented")
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
        assert (await model.counts())["calls"] == 3
