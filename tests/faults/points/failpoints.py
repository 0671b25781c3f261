"""Named points of a server process, and what may be armed to happen at one of them, once.

Everything goes through a directory that test and server share: `armed/` holds one file per armed fault, `reached` a
line for each point that was passed. A fault is disarmed by removing its file before it strikes, so it strikes once,
however many processes share the directory and whatever becomes of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import NoReturn

DELAY_SECONDS = 0.7


class Position(StrEnum):
    """Where in a step: before it is begun, when all is written and not committed, when it is done and not reported."""

    BEFORE = "before"
    INSIDE = "inside"
    AFTER = "after"


class Action(StrEnum):
    """What happens there. UNAVAILABLE is what a broken connection looks like: after a step, it happened and is
    reported as failed.
    """

    KILL = "kill"
    EXCEPTION = "exception"
    DELAY = "delay"
    UNAVAILABLE = "unavailable"


class FailpointError(Exception):
    """The unexpected error that an armed point raises."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One action at one position of a step, the `hit`-th time a process comes there."""

    step: str
    position: Position
    action: Action
    hit: int = 1

    def __str__(self) -> str:
        return f"{self.step}:{self.position}:{self.action}:{self.hit}"


class Failpoints:
    """The server's end. `at` is called on the event loop, `inside` on whatever thread writes."""

    def __init__(self, directory: Path) -> None:
        self._armed_in = directory / "armed"
        self._reached = os.open(directory / "reached", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._seen = -1
        self._armed: list[tuple[Path, Fault]] = []
        self._hits: Counter[tuple[str, Position]] = Counter()

    async def at(self, step: str, position: Position, unavailable: Callable[[], Exception]) -> None:
        """Passes the point, or does what is armed there."""
        action = self._pass(step, position)
        if action is Action.DELAY:
            await asyncio.sleep(DELAY_SECONDS)
        elif action is not None:
            _strike(action, unavailable)

    def inside(self, step: str, sleep: Callable[[float], object], unavailable: Callable[[], Exception]) -> None:
        """The same between the last statement and the commit; `sleep` holds up the transaction and nothing else."""
        action = self._pass(step, Position.INSIDE)
        if action is Action.DELAY:
            sleep(DELAY_SECONDS)
        elif action is not None:
            _strike(action, unavailable)

    def _pass(self, step: str, position: Position) -> Action | None:
        os.write(self._reached, f"{step}:{position}\n".encode())
        self._look()
        self._hits[step, position] += 1
        for path, fault in self._armed:
            due = (fault.step, fault.position) == (step, position) and self._hits[step, position] >= fault.hit
            if due and _disarm(path):
                os.write(self._reached, f"{step}:{position}!{fault.action}\n".encode())
                return fault.action
        return None

    def _look(self) -> None:
        """Reads what is armed when the directory has changed; hits count from then on."""
        changed = os.stat(self._armed_in).st_mtime_ns
        if changed == self._seen:
            return
        self._seen = changed
        known = {path for path, _ in self._armed}
        self._armed = [(path, read_fault(path)) for path in sorted(self._armed_in.glob("*.json")) if path.exists()]
        if {path for path, _ in self._armed} - known:
            self._hits.clear()


def _disarm(path: Path) -> bool:
    """Whether this process is the one in which the fault strikes."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _strike(action: Action, unavailable: Callable[[], Exception]) -> NoReturn:
    if action is Action.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if action is Action.UNAVAILABLE:
        raise unavailable()
    raise FailpointError("failpoint")


def read_fault(path: Path) -> Fault:
    """The fault of a file in `armed/`."""
    fields = json.loads(path.read_text(encoding="utf-8"))
    return Fault(fields["step"], Position(fields["position"]), Action(fields["action"]), fields["hit"])


class FaultBoard:
    """The test's end: arms faults and learns what was reached."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._armed_in = directory / "armed"
        self._armed_in.mkdir(parents=True, exist_ok=True)
        self._reached = directory / "reached"
        self._reached.touch()
        self._armed = 0

    def arm(self, *faults: Fault) -> None:
        """These strike, each once, in whichever process comes first."""
        for fault in faults:
            self._armed += 1
            draft = self.directory / "draft"
            draft.write_text(json.dumps(asdict(fault)), encoding="utf-8")
            draft.replace(self._armed_in / f"{self._armed:06}.json")

    def disarm(self) -> list[Fault]:
        """Takes back what has not struck, and returns it."""
        left = []
        for path in sorted(self._armed_in.glob("*.json")):
            fault = read_fault(path)
            if _disarm(path):
                left.append(fault)
        return left

    def mark(self) -> int:
        """Where the record of reached points stands."""
        return self._reached.stat().st_size

    def reached(self, since: int = 0, until: int = 0) -> list[str]:
        """The points that were passed between two marks (0: now), in order, as `step:position`; `…!action` where one
        struck.
        """
        return self._reached.read_bytes()[since : until or None].decode().split()

    async def passed(self, point: str, since: int, within: float = 10.0) -> None:
        """Returns once a point was passed, or struck (`…!action`), since the mark. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while point not in self.reached(since):  # noqa: ASYNC110 - a file announces nothing
                await asyncio.sleep(0.005)
