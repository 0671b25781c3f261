"""Runs the calls a runtime has ordered: each once, however often the order is seen."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence

from agent_runtime.v1.input_pb2 import ToolResult
from agent_runtime.v1.tool_pb2 import ToolCall
from client.tools.arguments import Arguments
from client.tools.bounded_text import RESULT_BYTES, JsonObject, as_json
from client.tools.create_directory import create_directory
from client.tools.execute_command import CommandTimedOutError, execute_command
from client.tools.failure import ToolFailedError
from client.tools.list_files import list_files
from client.tools.read_file import read_file
from client.tools.search_in_code import search_in_code
from client.tools.workspace import Workspace
from client.tools.write_file import write_file

Tool = Callable[[Workspace, Arguments], Awaitable[JsonObject]]


def _in_thread(tool: Callable[[Workspace, Arguments], JsonObject]) -> Tool:
    """File systems block; the loop has streams to read meanwhile."""

    async def run(workspace: Workspace, arguments: Arguments) -> JsonObject:
        return await asyncio.to_thread(tool, workspace, arguments)

    return run


TOOLS: Mapping[str, Tool] = {
    "read_file": _in_thread(read_file),
    "write_file": _in_thread(write_file),
    "list_files": _in_thread(list_files),
    "create_directory": _in_thread(create_directory),
    "search_in_code": _in_thread(search_in_code),
    "execute_command": execute_command,
}


class Toolbox:
    """The tools of one workspace. Belongs to one event loop."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._runs: dict[str, asyncio.Task[ToolResult]] = {}

    async def run(self, calls: Sequence[ToolCall], *, at_once: bool) -> list[ToolResult]:
        """The results, in the order of the calls; those seen before are not run again but have their result again.

        `at_once`: the calls may run at the same time, else one after the other. Never raises for a failed call.
        """
        if at_once:
            return list(await asyncio.gather(*(self._once(call) for call in calls)))
        return [await self._once(call) for call in calls]

    async def end_all(self) -> None:
        """Ends what still runs, commands with all they started, and forgets all results: their turn is over."""
        runs, self._runs = list(self._runs.values()), {}
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    def _once(self, call: ToolCall) -> asyncio.Future[ToolResult]:
        if call.id not in self._runs:
            self._runs[call.id] = asyncio.create_task(self._run(call), name=f"tool {call.name} {call.id}")
        # Whoever waits may be cancelled and come back; the call itself is ended by `end_all` alone.
        return asyncio.shield(self._runs[call.id])

    async def _run(self, call: ToolCall) -> ToolResult:
        try:
            tool = TOOLS.get(call.name)
            if tool is None:
                raise ToolFailedError(f"this client has no tool {call.name}")
            result = await tool(self.workspace, Arguments.parse(call.arguments_json))
            return _bounded(call, result, is_error=False)
        except CommandTimedOutError as error:
            return _bounded(call, {"error": str(error), **error.result}, is_error=True)
        except ToolFailedError as error:
            return _bounded(call, {"error": str(error)}, is_error=True)
        except OSError as error:
            path = f": {os.fsdecode(error.filename)}" if isinstance(error.filename, str | bytes) else ""
            return _bounded(call, {"error": f"{error.strerror or error}{path}"}, is_error=True)
        except Exception as error:
            # A fault of ours; the turn must not wait for ever because of it.
            return _bounded(call, {"error": f"the client failed to run this: {type(error).__name__}"}, is_error=True)


def _bounded(call: ToolCall, result: JsonObject, *, is_error: bool) -> ToolResult:
    text = as_json(result)
    if len(text.encode()) > RESULT_BYTES:
        text, is_error = as_json({"error": "the result was too large; ask for less of it"}), True
    return ToolResult(tool_call_id=call.id, json=text, is_error=is_error)
