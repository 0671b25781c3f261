"""A client that watches one session many times, to be frozen: `python -m tests.faults.harness.frozen_watcher …`."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from client.channel import open_channel
from tests.support.runtime_client import RuntimeClient


async def main(address: str, owner: str, session_id: str, count: int) -> None:
    """Opens the streams, says so, and holds them for ever."""
    async with open_channel(address) as channel:
        client = RuntimeClient(channel, owner)
        streams: list[Any] = [client.watch(session_id, after_sequence=0) for _ in range(count)]
        for stream in streams:
            await stream.initial_metadata()
        print("open", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
