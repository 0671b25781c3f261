"""execute_command: a command in the workspace, ended with everything it started when its time is up."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from contextlib import suppress

from client.tools.arguments import Arguments
from client.tools.bounded_output import BoundedOutput
from client.tools.bounded_text import JsonObject
from client.tools.failure import ToolFailedError
from client.tools.workspace import Workspace

DEFAULT_SECONDS, MAX_SECONDS = 60, 300
# Whoever left the process group may hold the pipes open; nobody waits longer than this for them.
_LAST_WORDS_SECONDS = 1.0
_PRIVATE_PREFIX = "AGENT_RUNTIME_"


async def execute_command(workspace: Workspace, arguments: Arguments) -> JsonObject:
    """Exit code, stdout and stderr; of long output the beginning and the end. A signal's exit code is negative.

    Processes the command leaves behind in its group are ended with it. Raises ToolFailedError if it cannot be started
    or is still running after `timeout` seconds (60, at most 300). A cancel ends it like a timeout.
    """
    seconds = arguments.whole("timeout", DEFAULT_SECONDS, least=1, most=MAX_SECONDS) or DEFAULT_SECONDS
    argv = _argv(arguments)
    cwd = arguments.text("cwd", ".")
    names = workspace.locate(cwd)
    if not workspace.is_directory(names):
        raise ToolFailedError(f"cwd {cwd} is not a directory")
    stdout, stderr = BoundedOutput(), BoundedOutput()
    readers = [asyncio.ensure_future(output.read_to_the_end()) for output in (stdout, stderr)]
    process = None
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=stdout.write_end,
                stderr=stderr.write_end,
                cwd=workspace.root.joinpath(*names),
                env=_environment(),
                start_new_session=True,
            )
        finally:
            os.close(stdout.write_end)
            os.close(stderr.write_end)
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), seconds)
        exit_code = process.returncode
    finally:
        if process is not None:
            await _end(process)
        await asyncio.wait(readers, timeout=_LAST_WORDS_SECONDS)
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    result = {"exit_code": exit_code, "stdout": stdout.text(), "stderr": stderr.text()}
    if exit_code is None:
        raise CommandTimedOutError(seconds, result)
    return result


class CommandTimedOutError(ToolFailedError):
    """The command was ended after `seconds`; `result` is what it had written."""

    def __init__(self, seconds: int, result: JsonObject) -> None:
        super().__init__(f"the command was still running after {seconds} s and was ended, with all it had started")
        self.result = result


def _argv(arguments: Arguments) -> list[str]:
    command = arguments.text("command")
    if not command.strip() or "\0" in command:
        raise ToolFailedError("command must not be empty and must not hold NUL")
    if arguments.flag("shell", True):
        return ["/bin/sh", "-c", command]
    try:
        return shlex.split(command)
    except ValueError as error:
        raise ToolFailedError(f"command cannot be split into words: {error}") from None


def _environment() -> dict[str, str]:
    """Ours, without what is secret to us, and told that nobody is there to look or to type."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_PRIVATE_PREFIX)}
    return inherited | {"TERM": "dumb", "PAGER": "cat", "GIT_PAGER": "cat", "GIT_TERMINAL_PROMPT": "0"}


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends the process, if it still runs, and whatever is left of its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
