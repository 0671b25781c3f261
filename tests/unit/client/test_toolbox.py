"""A call is run once, batches run as they are ordered, and every failure is a result."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from agent_runtime.v1.input_pb2 import ToolResult
from agent_runtime.v1.tool_pb2 import ToolCall
from client.tools.toolbox import Toolbox
from client.tools.workspace import Workspace
from tests.support.waiting import eventually


def ordered(id: str, name: str, **arguments: object) -> ToolCall:
    return ToolCall(id=id, name=name, arguments_json=json.dumps(arguments))


def command(id: str, line: str) -> ToolCall:
    return ordered(id, "execute_command", command=line)


def content(result: ToolResult) -> Any:
    return json.loads(result.json)


async def test_a_call_seen_twice_runs_once_and_has_one_result(workspace: Workspace) -> None:
    toolbox = Toolbox(workspace)
    call = command("c1", "echo x >> ran; cat ran")
    first, second = await asyncio.gather(toolbox.run([call], at_once=True), toolbox.run([call], at_once=False))
    third = await toolbox.run([call], at_once=True)
    assert first == second == third
    assert (workspace.root / "ran").read_text() == "x\n"
    await toolbox.end_all()


async def test_calls_run_at_once_only_if_they_may(workspace: Workspace) -> None:
    toolbox = Toolbox(workspace)
    meet = [command("a", "touch a; while [ ! -e b ]; do sleep 0.01; done"), command("b", "touch b")]
    async with asyncio.timeout(10):
        results = await toolbox.run(meet, at_once=True)
    assert [result.tool_call_id for result in results] == ["a", "b"]
    in_turn = [command("c", "sleep 0.1; echo c >> order"), command("d", "echo d >> order")]
    await toolbox.run(in_turn, at_once=False)
    assert (workspace.root / "order").read_text() == "c\nd\n"
    await toolbox.end_all()


async def test_failures_are_results_the_model_can_read(workspace: Workspace) -> None:
    calls = [
        ordered("1", "read_file", path="none.txt"),
        ordered("2", "read_file", path="../x"),
        ordered("3", "delete_file", path="x"),
        ToolCall(id="4", name="read_file", arguments_json="{"),
        ToolCall(id="5", name="read_file", arguments_json="[]"),
        ordered("6", "execute_command", command="sleep 9", timeout=1),
    ]
    results = await Toolbox(workspace).run(calls, at_once=True)
    assert all(result.is_error for result in results)
    assert [content(result)["error"] for result in results] == [
        "No such file or directory: none.txt",
        "../x leads out of the workspace",
        "this client has no tool delete_file",
        "the arguments are not valid JSON",
        "the arguments are not a JSON object",
        "the command was still running after 1 s and was ended, with all it had started",
    ]


async def test_a_command_that_fails_is_a_result_and_no_error(workspace: Workspace) -> None:
    (result,) = await Toolbox(workspace).run([command("1", "exit 1")], at_once=True)
    assert not result.is_error
    assert content(result)["exit_code"] == 1


async def test_ending_all_ends_what_runs(workspace: Workspace) -> None:
    toolbox = Toolbox(workspace)
    waiting = asyncio.create_task(toolbox.run([command("1", "touch begun; sleep 60; touch ended")], at_once=True))
    await eventually((workspace.root / "begun").exists)
    async with asyncio.timeout(5):
        await toolbox.end_all()
    assert waiting.cancelled() or (await asyncio.gather(waiting, return_exceptions=True))
    assert not (workspace.root / "ended").exists()
