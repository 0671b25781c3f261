"""The program of a crowd: does what it is told, with very many calls, and says what became of them.

Reads one JSON command a line, answers each with one line. It is a process of its own, so that what it costs is not the
server's, and so that it can die.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from typing import Any

import uvloop

from tests.faults.crowd.asking import Asking
from tests.faults.crowd.following import Following

_FILES = 20_000


async def main() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, max(_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    kind, address = sys.argv[1:]
    crowd = {"following": Following, "asking": Asking}[kind](address)
    lines = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        command: dict[str, Any] = json.loads(line)
        answer = await getattr(crowd, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
