"""Row 19 in bad times: a stop amid the start, and one while the database is away."""

from __future__ import annotations

import asyncio
import random
import signal
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from devtools.local_postgres import local_postgres
from devtools.scripted_model import scripted_model_process
from tests.faults.harness.audience import all_speak, judged, new_sessions, open_views, speak, watch
from tests.faults.harness.caller import network
from tests.faults.harness.replicas import running_replicas
from tests.faults.harness.script import script
from tests.faults.harness.verdict import Measure
from tests.faults.harness.world import World
from tests.support.health import NOT_SERVING, HealthClient
from tests.support.server_command import catches_sigterm, starting_server
from tests.support.tcp_relay import relay_to

_LONGEST_START = 3.0
_SPEAKING, _WATCHING = 20, 30
_DRAINED = frozenset({"drained", "ok"})


async def stops_amid_the_start(times: int, choice: random.Random, *, within: float) -> tuple[Measure, ...]:
    """Signals a process at any moment of its start, from the first at which it can hear it."""
    codes, longest = 0, 0.0
    with tempfile.TemporaryDirectory() as directory:
        for number in range(times):
            url = f"sqlite:///{directory}/{number}.db"
            async with starting_server(url, Path(directory)) as process:
                while not catches_sigterm(process.pid):  # noqa: ASYNC110 - tells nobody
                    await asyncio.sleep(0.002)
                await asyncio.sleep(choice.uniform(0.0, _LONGEST_START))
                asked = time.monotonic()
                process.send_signal(signal.SIGTERM)
                await process.communicate()
                codes += abs(process.returncode or 0)
                longest = max(longest, time.monotonic() - asked)
    return (
        Measure("stopped_amid_start", times),
        Measure("start_exit_codes", codes, at_most=0, at_least=0),
        Measure("start_exit_after", longest, at_most=within, timed=True),
    )


async def stops_without_database(times: int, seed: int, *, within: float) -> tuple[tuple[Measure, ...], list[str]]:
    """Signals a replica whose database is away, by turns gone and silent; all goes on when both are back."""
    codes, longest, cut = 0, 0.0, 0
    async with (
        local_postgres() as database,
        relay_to(database.url) as wire,
        scripted_model_process(*script(0.3, words=20)) as model,
    ):
        url = f"postgresql://{urlsplit(database.url).netloc.rpartition('@')[0]}@127.0.0.1:{wire.port}/postgres"
        async with (
            running_replicas(1, url, model.url, {"DRAIN_DELAY": "1"}) as replicas,
            network(replicas) as net,
        ):
            w, (replica,) = World(database, model, replicas, net), replicas
            sessions = await new_sessions(w, f"away-{seed}", _SPEAKING)
            watching: list[asyncio.Task[None]] = []
            for number in range(times):
                speaking = await speak(w, sessions, replica)
                watching = watching or await watch(w, sessions, _WATCHING, replica)
                await all_speak(sessions)
                open_at_first = open_views(sessions, replica)
                if number % 2:
                    wire.freeze()
                else:
                    await wire.cut()
                await HealthClient(net.channels[replica.name]).becomes(NOT_SERVING)
                asked = time.monotonic()
                codes += abs(await replica.terminate())
                longest = max(longest, time.monotonic() - asked)
                wire.thaw()
                await wire.cut()
                await wire.mend()
                await replica.start()
                cut += sum(view.end not in _DRAINED and "UNAVAILABLE" not in view.end for view in open_at_first)
                await asyncio.gather(*speaking)
            found, _ = await judged(w, sessions, watching)
    measures = (
        Measure("stopped_without_database", times),
        Measure("away_cut_streams", cut, at_most=0, at_least=0),
        Measure("away_exit_codes", codes, at_most=0, at_least=0),
        Measure("away_exit_after", longest, at_most=within, timed=True),
    )
    return measures, found
