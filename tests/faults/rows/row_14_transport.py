"""Row 14: what abuse of HTTP/2 does to others, and how soon each end notices that the other is dead."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from client.channel import open_channel
from devtools.runtime_process import RuntimeProcess
from tests.faults.harness.verdict import Measure, Verdict, percentile
from tests.support.runtime_client import RuntimeClient, connected
from tests.support.unlimited import UNLIMITED

ROW = 14
REDUCED, FULL = 2, 30
_FLOODS = ("rapid_reset", "continuation", "pings")
_CALL_EVERY = 0.02
_CALL_SECONDS = 10.0
_FROZEN_STREAMS = 20
_PATIENCE = 40.0
_LEGAL_PING_MS = 6_000
_ROOT = Path(__file__).parents[3]


@dataclass
class Honest:
    """How an honest client fares: how long its calls take, in seconds, and which fail."""

    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def call(self, client: RuntimeClient, session_id: str) -> None:
        """One call after another, until cancelled."""
        while True:
            began = time.monotonic()
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    await client.session(session_id)
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                self.failed.append(repr(error))
            self.took.append(time.monotonic() - began)
            await asyncio.sleep(_CALL_EVERY)


async def run(seconds: int, seed: int) -> Verdict:
    """Attacks one server in each way for so many seconds; the dead are looked after meanwhile."""
    measures: list[Measure] = []
    found: list[str] = []
    with tempfile.TemporaryDirectory() as directory:
        first, second = (
            RuntimeProcess(f"sqlite:///{directory}/{name}.db", "http://127.0.0.1:1/v1", UNLIMITED)
            for name in ("abused", "frozen")
        )
        async with first, second, connected(first.address) as client, open_channel(second.address) as patient:
            session = await client.new_session()
            dead_client = asyncio.create_task(_freeze_a_client(first, client.owner, session.id))
            dead_server = asyncio.create_task(_freeze_the_server(second, RuntimeClient(patient)))
            pinger = await _legal_pinger(first, client.owner, session.id)
            # That silent connections are closed, tests of the server's options see; here it is what so many cost.
            for kind in (*_FLOODS, *(["silence"] if seconds > REDUCED else [])):
                measures += await _attack(kind, first, client, session.id, seconds, found)
            measures += [
                Measure("dead_client_noticed_after", await dead_client, at_most=15.0, timed=True),
                Measure("dead_server_noticed_after", await dead_server, at_most=15.0, timed=True),
            ]
            if pinger.done():
                found.append(f"a client that pings as often as it may was cut off: {pinger.exception()!r}")
            pinger.cancel()
            await asyncio.wait({pinger})
            found += [line for line in first.log.read_text(encoding="utf-8").splitlines() if "Traceback" in line]
    return Verdict(ROW, seed, tuple(measures), tuple(found))


async def _attack(
    kind: str, process: RuntimeProcess, client: RuntimeClient, session_id: str, seconds: int, found: list[str]
) -> list[Measure]:
    honest = Honest()
    before = most = _resident(process.pid)
    calling = asyncio.create_task(honest.call(client, session_id))
    attacker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.harness.attacker", kind, process.address, str(seconds)),
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    attacking = asyncio.create_task(attacker.communicate())
    while not attacking.done():
        await asyncio.wait({attacking}, timeout=0.1)
        most = max(most, _resident(process.pid))
    calling.cancel()
    await asyncio.wait({calling})
    told: dict[str, Any] = json.loads(attacking.result()[0])
    found += [f"during {kind} a call failed: {error}" for error in honest.failed]
    measures = [
        Measure(f"{kind}_p99_ms", 1000 * percentile(honest.took, 0.99), at_most=500, timed=True),
        Measure(f"{kind}_mib", (most - before) / 2**20, at_most=100, timed=True),
    ]
    if kind == "silence":
        return [
            *measures,
            Measure("silent_left", told["left"], at_most=0, at_least=0),
            Measure("silent_gone_after", told["gone_after"], at_most=6.0, timed=True),
        ]
    return [*measures, Measure(f"{kind}_sent_mib", told["sent"] / 2**20), Measure(f"{kind}_cuts", told["cuts"])]


async def _freeze_a_client(process: RuntimeProcess, owner: str, session_id: str) -> float:
    """Seconds until the server has let go of all streams of a client that does nothing any more."""
    watcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.harness.frozen_watcher"),
        *(process.address, owner, session_id, str(_FROZEN_STREAMS)),
        stdout=asyncio.subprocess.PIPE,
        cwd=_ROOT,
    )
    try:
        assert watcher.stdout is not None
        assert await watcher.stdout.readline() == b"open\n"
        frozen_at = time.monotonic()
        os.kill(watcher.pid, signal.SIGSTOP)
        while time.monotonic() < frozen_at + _PATIENCE:
            ended = re.findall(r'"method":"/agent_runtime.v1.MessageService/WatchSession"', _text(process.log))
            if len(ended) >= _FROZEN_STREAMS:
                break
            await asyncio.sleep(0.2)
        return time.monotonic() - frozen_at
    finally:
        watcher.kill()
        await watcher.wait()


async def _freeze_the_server(process: RuntimeProcess, client: RuntimeClient) -> float:
    """Seconds until a client with the documented settings knows that its server does nothing any more."""
    session = await client.new_session()
    stream: Any = client.watch(session.id, after_sequence=0)
    await stream.initial_metadata()
    frozen_at = time.monotonic()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(_PATIENCE):
            await stream.read()
    except (grpc.aio.AioRpcError, TimeoutError):
        return time.monotonic() - frozen_at
    finally:
        os.kill(process.pid, signal.SIGCONT)
    return 0.0  # it said something, which the frozen do not


async def _legal_pinger(process: RuntimeProcess, owner: str, session_id: str) -> asyncio.Task[Any]:
    """A stream of a client that pings often, but not too often; it ends when it is cut off."""
    options = (("grpc.keepalive_time_ms", _LEGAL_PING_MS), ("grpc.http2.max_pings_without_data", 0))
    channel = grpc.aio.insecure_channel(process.address, options=options)
    stream: Any = RuntimeClient(channel, owner).watch(session_id, after_sequence=0)
    await stream.initial_metadata()

    async def read() -> None:
        async with channel:
            while await stream.read() is not grpc.aio.EOF:
                pass

    return asyncio.create_task(read())


def _resident(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
