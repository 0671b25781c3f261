"""`make replicas`: several servers on one PostgreSQL on this machine, to kill one and see the session go on."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from devtools.chat_script import INVITATION, SCRIPT
from devtools.local_postgres import local_postgres
from devtools.runtime_process import RuntimeNotStartedError, RuntimeProcess
from devtools.scripted_model import scripted_model_process

_PREFIX = "AGENT_RUNTIME__"
# What is decided here: where the servers listen, what they share, and that loopback needs no keys.
_NOT_PASSED_ON = frozenset({"LISTEN", "KEYS", "DEV", "LLM_PROXY_URL", "DATABASE_URL"})
_SLOWLY = 0.05
_LOOK_SECONDS = 0.3


@asynccontextmanager
async def local_replicas(count: int) -> AsyncIterator[list[RuntimeProcess]]:
    """So many development servers that share a new PostgreSQL; all of it is gone at the end.

    They ask the model that the environment names, or else one that plays a script. Raises RuntimeNotStartedError.
    """
    settings = {name.removeprefix(_PREFIX): value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    kept = {name: value for name, value in settings.items() if name not in _NOT_PASSED_ON}
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(local_postgres())
        model_url = settings.get("LLM_PROXY_URL", "")
        if model_url:
            kept = {"LLM_MODEL": "default"} | kept
        else:
            model_url = (await stack.enter_async_context(scripted_model_process(*SCRIPT, echo_delay=_SLOWLY))).url
        yield [await stack.enter_async_context(RuntimeProcess(database.url, model_url, kept)) for _ in range(count)]


async def serve(count: int) -> int:
    """Runs them until Ctrl-C, and says which of them end meanwhile; returns the exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"replicas: starting PostgreSQL and {count} servers", flush=True)
    try:
        async with local_replicas(count) as replicas:
            print(_explained(replicas), flush=True)
            await _tell_of_ends(replicas, stop)
    except RuntimeNotStartedError as error:
        print(f"replicas: a server did not start.\n{error}", file=sys.stderr)
        return 1
    print("replicas: all stopped", flush=True)
    return 0


def _explained(replicas: list[RuntimeProcess]) -> str:
    addresses = [replica.address for replica in replicas]
    rows = [f"  {replica.address}   pid {replica.pid}" for replica in replicas]
    chat = f"{sys.executable} -m client.chat --session tour --address"
    return "\n".join(
        [
            *rows,
            "Talk to one of them, in another terminal:",
            f"  {chat} {addresses[0]}",
            "or to whichever lives:",
            f"  {chat} ipv4:{','.join(addresses)}",
            *([] if os.environ.get(f"{_PREFIX}LLM_PROXY_URL") else [INVITATION]),
            "Watch the same session at another address: it shows the same. Then kill -9 one of the servers in",
            "mid-answer: after at most a lease of silence another one finishes it. Ctrl-C stops all.",
        ]
    )


async def _tell_of_ends(replicas: list[RuntimeProcess], stop: asyncio.Event) -> None:
    alive = {replica.pid: replica.address for replica in replicas}
    while not stop.is_set():
        for pid in [pid for pid in alive if not _lives(pid)]:
            print(f"replicas: the server at {alive.pop(pid)} has ended; {len(alive)} left", flush=True)
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await stop.wait()
        except TimeoutError:
            continue


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> int:
    """The command line; returns the exit code."""
    # The packaged PostgreSQL looks for a runtime directory when it is imported; the fallback is good.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    parser = argparse.ArgumentParser(prog="make replicas", description=__doc__)
    parser.add_argument("--count", type=int, default=2, help="how many servers; default: 2")
    return asyncio.run(serve(parser.parse_args().count))


if __name__ == "__main__":
    sys.exit(main())
