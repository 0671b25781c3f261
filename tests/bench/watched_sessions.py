"""P4: ten thousand sessions watched at once by one process: what they take while the cache is full, and when idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import psutil

from tests.bench.child import cpu_seconds
from tests.bench.figure import Figure
from tests.bench.stage import Stage, saying
from tests.bench.targets import Runtime
from tests.faults.crowd.running import crowd_at

_SESSIONS = 10_000
_CONNECTIONS = 20  # of gateways, each with many watches
_CREATED_AT_ONCE = 40
_SPEAKING = 100
_TOKENS = 100
_IDLE = 15.0  # a heartbeat of each
_MEGABYTES = 900
_IDLE_SHARE = 2.0
_ROOM = {
    "LIMITS__STREAMS": "20000",
    "LIMITS__SESSIONS": "20000",
    "LIMITS__WATCHES_PER_MINUTE": "1000000",
    "LIMITS__ANSWERS_PER_MINUTE": "1000000",
    "LIMITS__WORK_PER_MINUTE": "1000000",
    "LIMITS__RUNNING_TURNS": "1000",
}


async def watched_sessions(stage: Stage) -> AsyncIterator[Figure]:
    """Resident memory and CPU of the process that all of them are watched at."""
    await stage.model.reset()
    await stage.model.play(saying("speak", _TOKENS, 0.02))
    async with stage.runtime("PostgreSQL", _ROOM) as server, crowd_at(server.address) as crowd:
        stage.say(f"P4: making {_SESSIONS} sessions")
        sessions = await _sessions(server)
        await crowd.do("connect", owner=server.client.owner, connections=_CONNECTIONS)
        took = await crowd.do("watch", sessions=sessions)
        await asyncio.gather(*(_speak(server, session) for session in sessions[:_SPEAKING]))
        began = cpu_seconds(server.pid)
        await asyncio.sleep(_IDLE)
        busy = 100 * (cpu_seconds(server.pid) - began) / _IDLE
        memory = psutil.Process(server.pid).memory_info().rss / (1 << 20)
        seen = await crowd.do("seen")
    opened, counts = seen["open"], seen["counts"]
    stage.say(f"P4: {opened} watched at once, {memory:.0f} MiB, {busy:.1f} % of a core when idle")
    note = f"opened in {took:.1f} s over {_CONNECTIONS} connections; {counts.get('event', 0)} events came meanwhile"
    yield Figure(
        "P4",
        memory,
        "MiB",
        f"≤ {_MEGABYTES} MiB",
        memory <= _MEGABYTES and opened == _SESSIONS,
        part="memory",
        note=note,
    )
    note = f"{counts.get('heartbeat', 0) / _IDLE:.0f} heartbeats a second among it"
    yield Figure("P4", busy, "% of a core", f"≤ {_IDLE_SHARE:.0f} %", busy <= _IDLE_SHARE, part="idle", note=note)


async def _sessions(server: Runtime) -> Sequence[str]:
    made: list[str] = []
    while len(made) < _SESSIONS:
        made += await asyncio.gather(*(_session(server) for _ in range(_CREATED_AT_ONCE)))
    return made


async def _session(server: Runtime) -> str:
    return (await server.client.new_session(agent="universal")).id


async def _speak(server: Runtime, session: str) -> None:
    async for _ in server.turn(session, "speak"):
        pass
