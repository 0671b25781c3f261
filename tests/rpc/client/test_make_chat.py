"""`make chat` brings its own server, which Ctrl-C leaves alone, and says what it needs where there is no model."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from devtools.scripted_model import ScriptedModel, reply, text
from tests.rpc.client.terminal import clean_environment, terminal

_CHAT = ("-m", "devtools.chat")


async def _run(*arguments: str, typed: str = "", **environment: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *_CHAT, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=clean_environment() | environment,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate(typed.encode())
    return process.returncode, out.decode(), err.decode()


async def test_without_a_model_it_says_how_to_name_one() -> None:
    code, out, err = await _run()
    assert (code, out) == (2, "")
    assert "AGENT_RUNTIME__LLM_PROXY_URL" in err
    assert "make chat ARGS=--scripted" in err


async def test_it_talks_to_the_model_that_is_named(model: ScriptedModel, tmp_path: Path) -> None:
    await model.play(reply(text("Fine.")))
    code, out, _ = await _run(
        *("--workspace", str(tmp_path), "--agent", "universal", "--message", "How are you?"),
        AGENT_RUNTIME__LLM_PROXY_URL=model.url,
        AGENT_RUNTIME__LLM_MODEL="the-model",
        AGENT_RUNTIME__DATABASE_URL=f"sqlite:///{tmp_path / 'chat.db'}",
    )
    assert (code, out) == (0, "Fine.\n")
    assert (await model.calls())[-1]["body"]["model"] == "the-model"


async def test_a_server_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    code, out, err = await _run(
        *("--workspace", str(tmp_path), "--message", "hello"),
        AGENT_RUNTIME__LLM_PROXY_URL="http://127.0.0.1:1/v1",
        AGENT_RUNTIME__DATABASE_URL="nonsense://",
    )
    assert (code, out) == (1, "")
    assert err.startswith("chat: the runtime did not start. agent-runtime: ")
    assert err.count("\n") == 1


async def test_lines_may_come_from_a_pipe(tmp_path: Path) -> None:
    code, out, _ = await _run("--scripted", "--workspace", str(tmp_path), "--agent", "ask", typed="one\ntwo\n")
    assert code == 0
    assert "You said: one" in out
    assert "You said: two" in out
    assert "\x1b" not in out


async def test_ctrl_c_leaves_its_server_alone(tmp_path: Path) -> None:
    async with terminal(*_CHAT, "--scripted", "--workspace", str(tmp_path), "--agent", "ask") as it:
        await it.shows("A scripted model answers")
        await it.shows("you ▸ ")
        await it.type(f"say {'and so on ' * 200}\r")
        await it.shows("You said: ")
        await it.type("\x03")
        await it.shows("■ cancelled")
        await it.shows("you ▸ ")
        await it.type("still there?\r")
        await it.shows("You said: still there?")
        await it.shows("you ▸ ")
        await it.type("\x04")
        assert await it.end() == 0
