"""execute_command runs a command and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from client.tools.arguments import Arguments
from client.tools.bounded_output import KEPT_BYTES
from client.tools.bounded_text import RESULT_BYTES, encoded_size
from client.tools.execute_command import CommandTimedOutError, execute_command
from client.tools.failure import ToolFailedError
from client.tools.workspace import Workspace
from tests.support.waiting import eventually


async def run(workspace: Workspace, command: str, **values: object) -> Any:
    return await execute_command(workspace, Arguments({"command": command} | values))


def gone(pid_file: Path) -> bool:
    """Whether the process that wrote its number there has ended."""
    stat = Path(f"/proc/{pid_file.read_text().strip()}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


async def test_it_tells_exit_code_and_both_outputs(workspace: Workspace) -> None:
    assert await run(workspace, "echo out; echo err >&2; exit 3") == {
        "exit_code": 3,
        "stdout": "out\n",
        "stderr": "err\n",
    }


async def test_it_works_where_it_is_told_to(workspace: Workspace) -> None:
    (workspace.root / "sub").mkdir()
    assert (await run(workspace, "pwd", cwd="sub"))["stdout"] == f"{workspace.root}/sub\n"
    for cwd in ("..", "/tmp", "none"):
        with pytest.raises(ToolFailedError):
            await run(workspace, "pwd", cwd=cwd)


async def test_without_a_shell_it_is_only_split(workspace: Workspace) -> None:
    assert (await run(workspace, "echo '$HOME' a;b", shell=False))["stdout"] == "$HOME a;b\n"
    with pytest.raises(FileNotFoundError):
        await run(workspace, "no-such-program", shell=False)
    with pytest.raises(ToolFailedError, match="cannot be split"):
        await run(workspace, "echo 'x", shell=False)


async def test_nobody_types_and_nothing_secret_is_inherited(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__LLM_API_KEY", "sesame")
    monkeypatch.setenv("AGENT_RUNTIME_KEY", "sesame")
    monkeypatch.setenv("HARMLESS", "yes")
    result = await run(workspace, "cat; env")
    assert "sesame" not in result["stdout"]
    assert "HARMLESS=yes" in result["stdout"]


async def test_it_is_ended_with_its_children_when_its_time_is_up(workspace: Workspace) -> None:
    pid_file = workspace.root / "pid"
    with pytest.raises(CommandTimedOutError, match="still running after 1 s") as caught:
        await run(workspace, "echo begun; sleep 60 & echo $! > pid; wait", timeout=1)
    assert caught.value.result["stdout"] == "begun\n"
    await eventually(lambda: gone(pid_file))


async def test_a_cancel_ends_it_with_its_children(workspace: Workspace) -> None:
    pid_file = workspace.root / "pid"
    task = asyncio.create_task(run(workspace, "sleep 60 & echo $! > pid.part; mv pid.part pid; wait"))
    await eventually(pid_file.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: gone(pid_file))


async def test_what_it_leaves_in_the_background_does_not_hold_it_up(workspace: Workspace) -> None:
    async with asyncio.timeout(10):
        result = await run(workspace, "sleep 60 & echo $! > pid; echo done")
    assert (result["exit_code"], result["stdout"]) == (0, "done\n")
    await eventually(lambda: gone(workspace.root / "pid"))


async def test_endless_output_is_bounded_and_keeps_beginning_and_end(workspace: Workspace) -> None:
    result = await run(workspace, "echo first; head -c 30000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert result["stdout"].startswith("first\nxxx")
    assert result["stdout"].endswith("xxx\nlast\n")
    assert "bytes left out" in result["stdout"]
    assert len(result["stdout"]) < KEPT_BYTES + 100


async def test_output_that_is_no_text_fits_a_result(workspace: Workspace) -> None:
    result = await run(workspace, "head -c 1000000 /dev/urandom; head -c 1000000 /dev/zero >&2")
    assert encoded_size(result) <= RESULT_BYTES
    assert "\0" not in result["stderr"]


async def test_a_signal_is_a_negative_exit_code(workspace: Workspace) -> None:
    assert (await run(workspace, "kill -9 $$"))["exit_code"] == -9


async def test_no_handle_is_left_open(workspace: Workspace) -> None:
    await run(workspace, "true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await run(workspace, "echo x")
        with pytest.raises(ToolFailedError):
            await run(workspace, "sleep 5", timeout=True)
        with pytest.raises(FileNotFoundError):
            await run(workspace, "no-such-program", shell=False)
    assert len(os.listdir("/proc/self/fd")) <= before
