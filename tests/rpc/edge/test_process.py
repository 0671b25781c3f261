"""The command as an operator runs it: a real process, real signals, exit codes and what it prints."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from server.drain_signal import DrainSignal
from server.interceptors.deadline import Deadline
from tests.rpc.edge.edge_server import Edge, next_value

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-m", "tests.rpc.edge.stand_in_command"]


def clean_environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENT_RUNTIME__")}
    return kept | {"PYTHONPATH": f"{ROOT}:{ROOT / 'generated'}"} | more


@dataclass
class Process:
    """A serving process."""

    process: asyncio.subprocess.Process
    line: str
    address: str


@asynccontextmanager
async def serving(tmp_path: Path, *flags: str, **environment: str) -> AsyncIterator[Process]:
    port_file = tmp_path / "port"
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "serve", "--listen", "127.0.0.1:0", "--port-file", str(port_file), *flags,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, env=clean_environment(**environment),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        yield Process(process, line, port_file.read_text(encoding="utf-8").strip())
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def run_command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        cwd=ROOT,
        env=clean_environment(**environment),
    )


async def test_it_says_where_it_serves_and_stops_on_sigterm_even_twice(tmp_path: Path) -> None:
    async with serving(tmp_path, "--dev") as one:
        assert one.line == (
            f"agent-runtime: serving on {one.address}, database sqlite, "
            "model default at http://127.0.0.1:4000/v1, authentication none (development)\n"
        )
        async with grpc.aio.insecure_channel(one.address) as channel:
            stream = Edge(one.address, channel, DrainSignal(), Deadline(1)).stream("Watch")
            await stream.initial_metadata()
            one.process.send_signal(signal.SIGTERM)
            assert await next_value(stream) == "drain"
            one.process.send_signal(signal.SIGTERM)
            assert await stream.read() is grpc.aio.EOF
        async with asyncio.timeout(10):
            _, errors = await one.process.communicate()
        assert one.process.returncode == 0
        lines = [json.loads(line) for line in errors.decode().splitlines()]
        assert [line["event"] for line in lines] == ["draining", "rpc", "calls ended"]


async def test_ctrl_c_is_an_orderly_stop_too(tmp_path: Path) -> None:
    async with serving(tmp_path, "--dev") as one:
        one.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(10):
            assert await one.process.wait() == 0


async def test_a_process_that_cannot_stop_gives_up(tmp_path: Path) -> None:
    async with serving(tmp_path, "--dev", AGENT_RUNTIME__GRACE="0", HANG_AT_THE_END="1") as one:
        one.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            _, errors = await one.process.communicate()
        assert one.process.returncode == 3
        assert "giving up" in errors.decode()


async def test_a_taken_port_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    async with serving(tmp_path, "--dev") as one:
        second = await asyncio.to_thread(run_command, "serve", "--dev", "--listen", one.address)
        assert second.returncode == 2
        assert second.stderr.splitlines() == [
            f"agent-runtime: cannot listen on {one.address}: taken, or no address of this machine"
        ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (
            {},
            "nobody may call: set AGENT_RUNTIME__KEYS, AGENT_RUNTIME__JWT__KEY_SET or AGENT_RUNTIME__TLS__CLIENTS,"
            " or start with --dev for development",
        ),
        (
            {"AGENT_RUNTIME__KEYS": '[{"key": "sentinel", "name": "a", "owner": "b"}]'},
            "AGENT_RUNTIME__KEYS[0] (a) is shorter than 32 bytes; try `openssl rand -hex 32`",
        ),
        ({"AGENT_RUNTIME__KEYS": '[{"key": "sentinel'}, "AGENT_RUNTIME__KEYS is not valid JSON"),
    ],
)
def test_what_cannot_be_served_safely_is_refused_with_one_line(variables: dict[str, str], expected: str) -> None:
    refused = run_command("serve", **variables)
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [f"agent-runtime: {expected}"]
    assert refused.stdout == ""


def test_a_failed_migration_is_one_line_and_needs_no_keys() -> None:
    refused = run_command("migrate", "--database-url", "postgresql://u:p@127.0.0.1/x")
    assert (refused.returncode, refused.stderr) == (2, "agent-runtime: cannot migrate postgresql\n")


def test_the_settings_are_printed_as_a_table() -> None:
    printed = run_command("settings")
    assert printed.returncode == 0
    assert "| `AGENT_RUNTIME__LISTEN` | `127.0.0.1:50051` |" in printed.stdout


async def test_the_log_warns_of_a_misspelt_variable(tmp_path: Path) -> None:
    async with serving(tmp_path, "--dev", AGENT_RUNTIME__LISTENN="x", AGENT_RUNTIME__CONTEXT__WINDOW="8000") as one:
        one.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            _, errors = await one.process.communicate()
        logged = [json.loads(line) for line in errors.decode().splitlines()]
        assert logged[0]["variable"] == "AGENT_RUNTIME__LISTENN"
        assert (logged[1]["level"], logged[1]["window"]) == ("warning", 8000)
        # The first start makes the database, without a word about its parts.
        assert [line for line in logged if line["logger"].startswith("alembic")] == []
