"""Notices that the event loop stands still: nothing else in the process would, since gRPC's own threads go on."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Callable

import structlog

_log = structlog.stdlib.get_logger("server.loop")

_BEAT = 0.1
_CALM_BEATS = 10
_LATE = 0.25  # of what is allowed; what is less is an ordinary busy moment
_LOOKS = 8  # within what is allowed
_FRAMES = 40


class LoopLag:
    """Judges how late the beats of a loop are; `limit` seconds are too much, at once or in beats that are all late."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._owed = 0.0
        self._until_calm = 0

    @property
    def well(self) -> bool:
        """False from a beat that was too late until a second's worth of punctual ones."""
        return self._until_calm == 0

    def beat(self, late: float) -> None:
        """One beat came so many seconds late."""
        punctual = late < self.limit * _LATE
        self._owed = 0.0 if punctual else self._owed + late
        if self._owed >= self.limit:
            self._until_calm = _CALM_BEATS
        elif punctual:
            self._until_calm = max(self._until_calm - 1, 0)


class LoopWatch:
    """Beats on the loop, and listens to the beat from a thread; `run` never ends.

    When there is none for the lag's limit, the log says where the loop's thread stands: files, lines and functions, no
    values. `tell` is called on the loop with whether it is well, whenever that changes; while the loop stands still,
    nobody can be told anything. Code that holds the interpreter lock for so long keeps the thread waiting, too: then
    the log has only how long it was.
    """

    def __init__(self, lag: LoopLag, tell: Callable[[bool], None]) -> None:
        self._limit = lag.limit
        self._tell = tell
        self._lag = lag
        self._beats = 0

    async def run(self) -> None:
        """Watches until cancelled."""
        ended = threading.Event()
        watched = threading.get_ident()
        threading.Thread(target=self._listen, args=(watched, ended), name="loop watch", daemon=True).start()
        try:
            while True:
                due = time.monotonic() + _BEAT
                await asyncio.sleep(_BEAT)
                self._beat(time.monotonic() - due)
        finally:
            ended.set()

    def _beat(self, late: float) -> None:
        self._beats += 1
        was_well = self._lag.well
        self._lag.beat(late)
        if late >= self._limit:
            _log.warning("the event loop stood still", seconds=round(late, 2))
        if self._lag.well is not was_well:
            self._tell(self._lag.well)

    def _listen(self, watched: int, ended: threading.Event) -> None:
        """In looks and not by the clock: a process that was frozen as a whole has missed none of them."""
        heard, silent = self._beats, 0
        while not ended.wait(self._limit / _LOOKS):
            silent = silent + 1 if self._beats == heard else 0
            heard = self._beats
            if silent == _LOOKS:
                frames = traceback.format_stack(sys._current_frames().get(watched))
                _log.warning("the event loop stands still", seconds=self._limit, stack="".join(frames[-_FRAMES:]))
