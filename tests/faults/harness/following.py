"""Streams of one session that come back after a break, on the next replica, and note all they see."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc

from tests.faults.harness.caller import PATIENCE, Caller, LostSessionError
from tests.faults.harness.history import History, SeenEvent, View
from tests.faults.harness.replicas import HEARTBEAT
from tests.support.runtime_client import Event, RuntimeClient, refusal_of

SILENCE = 3 * HEARTBEAT
_PAUSE = 0.05
_ENDS = frozenset({"turn_completed", "turn_failed", "turn_cancelled", "turn_paused"})

Open = Callable[[RuntimeClient, int | None], "grpc.aio.UnaryStreamCall[Any, Any]"]
Seen = Callable[[Event], None]
Leaves = Callable[[], bool]


def stays() -> bool:
    """The patient client: it never leaves a stream that works."""
    return False


async def follow_input(
    caller: Caller,
    history: History,
    request_id: str,
    fields: dict[str, Any],
    seen: Seen,
    *,
    detach: bool = False,
    leaves: Leaves = stays,
    silence: float = SILENCE,
) -> None:
    """Sends one input and reads what comes of it to the end, however often the stream breaks.

    `leaves` is asked after every item whether to leave the stream here and go on in another; one that says nothing for
    `silence` seconds is left, too. Raises RefusedError, and
    LostSessionError when nothing new comes for longer than any takeover takes.
    """
    ended = False

    def take(event: Event) -> None:
        nonlocal ended
        ended = detach or event.WhichOneof("payload") in _ENDS
        seen(event)

    def opened(client: RuntimeClient, after: int | None) -> grpc.aio.UnaryStreamCall[Any, Any]:
        again: dict[str, Any] = {} if after is None else {"after_sequence": after}
        return client.send_input(history.session_id, request_id=request_id, detach=detach, **again, **fields)

    follower = _Follower(caller, history, "send", request_id, opened, take, silence)
    while not ended:
        await follower.read_one_stream(leaves)
        if follower.view.end == "ok" and not ended:
            history.complaints.append(f"G2: a stream after {follower.view.after} ended before its turn did")
            return


async def follow_session(
    caller: Caller,
    history: History,
    until: Callable[[int], bool],
    *,
    leaves: Leaves = stays,
    silence: float = SILENCE,
    patience: float = PATIENCE,
) -> None:
    """Watches the session from its first event on until the number of the last one satisfies `until`.

    See `follow_input` for the rest. Raises RefusedError, and LostSessionError when nothing new comes for `patience`
    seconds.
    """
    last = 0

    def take(event: Event) -> None:
        nonlocal last
        last = event.sequence

    def opened(client: RuntimeClient, after: int | None) -> grpc.aio.UnaryStreamCall[Any, Any]:
        return client.watch(history.session_id, after_sequence=after or 0)

    follower = _Follower(caller, history, "watch", "", opened, take, silence, patience)
    while not until(last):
        await follower.read_one_stream(lambda: until(last) or leaves())


class _Follower:
    """One stream after another, each going on after the last event of the one before."""

    def __init__(
        self,
        caller: Caller,
        history: History,
        kind: str,
        request_id: str,
        open_call: Open,
        seen: Seen,
        silence: float,
        patience: float = PATIENCE,
    ) -> None:
        self._silence = silence
        self._patience = patience
        self._caller = caller
        self._history = history
        self._kind = kind
        self._request_id = request_id
        self._open = open_call
        self._seen = seen
        self._progress = time.monotonic()
        self.last: int | None = None
        self.view = View(kind, "", None)

    async def read_one_stream(self, leaves: Leaves) -> None:
        """Opens a stream on the next replica and reads it until it ends, breaks, falls silent or is left."""
        name, client = self._caller.next()
        self.view = View(self._kind, name, self.last, self._request_id, started=time.time())
        if self._kind == "watch":
            self.view.after = self.last or 0
        self._history.views.append(self.view)
        call = self._open(client, self.last)
        try:
            await self._read(call, leaves)
        except grpc.aio.AioRpcError as error:
            self.view.end = f"{error.code().name} {refusal_of(error).reason}".rstrip()
            self._caller.note(error)
        except TimeoutError:
            self.view.end = "silent"
        finally:
            call.cancel()
        if self.view.end not in ("ok", "left"):
            await asyncio.sleep(_PAUSE)

    async def _read(self, call: grpc.aio.UnaryStreamCall[Any, Any], leaves: Leaves) -> None:
        while True:
            if time.monotonic() - self._progress > self._patience:
                self.view.end = "lost"
                raise LostSessionError(f"nothing new for {self._patience:.0f} s")
            async with asyncio.timeout(self._silence):
                item: Any = await call.read()
            if item is grpc.aio.EOF:
                self.view.end = self.view.end if self.view.end == "drained" else "ok"
                return
            match item.WhichOneof("item"):
                case "event":
                    self._progress = time.monotonic()
                    self.view.events.append(SeenEvent(time.time(), item.event))
                    self.last = item.event.sequence
                    self._seen(item.event)
                case "gap":
                    self.view.gaps.append((item.gap.from_sequence, item.gap.to_sequence))
                    self.last = item.gap.to_sequence
                case "drain":
                    self.view.end = "drained"
            if leaves():
                self.view.end = "left"
                return
