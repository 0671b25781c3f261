"""What the scripted model remembers of its calls, and the doors at which its answers wait."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

_KEPT_CALLS = 2000


class Outcome(StrEnum):
    """How a call went; `playing` until it is over."""

    PLAYING = "playing"
    FINISHED = "finished"
    FAULT = "fault"
    CLOSED_EARLY = "closed_early"
    REFUSED = "refused"


@dataclass(slots=True, eq=False)
class Call:
    """One request to the model."""

    number: int
    body: bytes
    headers: dict[str, str]
    outcome: Outcome = Outcome.PLAYING
    bytes_sent: int = 0

    def as_json(self) -> dict[str, object]:
        """What `/control/calls` shows; the body is null if it was no JSON."""
        try:
            body = msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            body = None
        return {
            "number": self.number,
            "body": body,
            "headers": self.headers,
            "outcome": self.outcome.value,
            "closed_early": self.outcome is Outcome.CLOSED_EARLY,
            "bytes_sent": self.bytes_sent,
        }


@dataclass(slots=True)
class _Gate:
    released: asyncio.Event = field(default_factory=asyncio.Event)
    holding: int = 0


class Record:
    """The last calls, counts of all calls by outcome, and the gates. Used on one event loop."""

    def __init__(self) -> None:
        self._calls: deque[Call] = deque(maxlen=_KEPT_CALLS)
        self._counts: Counter[Outcome] = Counter()
        self._gates: dict[str, _Gate] = {}
        self._changed = asyncio.Event()
        self._total = 0

    def begin(self, body: bytes, headers: dict[str, str]) -> Call:
        """A new call, being played."""
        self._total += 1
        call = Call(self._total, body, headers)
        self._calls.append(call)
        self._count(call, Outcome.PLAYING)
        return call

    def end(self, call: Call, outcome: Outcome) -> None:
        """The call is over; only the first end counts."""
        if call.outcome is Outcome.PLAYING:
            self._counts[Outcome.PLAYING] -= 1
            self._count(call, outcome)

    def calls(self) -> list[dict[str, object]]:
        """The last calls, oldest first."""
        return [call.as_json() for call in self._calls]

    def counts(self) -> dict[str, int]:
        """How many calls there were (`calls`), and how many of each outcome."""
        return {"calls": self._total} | {outcome.value: self._counts[outcome] for outcome in Outcome}

    async def until(self, reached: Callable[[], bool]) -> None:
        """Returns when the condition holds; it is looked at whenever a call or a gate changes."""
        while not reached():
            await self._changed.wait()

    def holding(self, gate: str) -> int:
        """How many answers wait at this gate."""
        return self._gate(gate).holding

    async def pass_gate(self, name: str) -> None:
        """Returns once the gate has been released; it stays open then."""
        gate = self._gate(name)
        gate.holding += 1
        self._notify()
        try:
            await gate.released.wait()
        finally:
            gate.holding -= 1
            self._notify()

    def release(self, name: str) -> None:
        """Opens the gate, for those who wait and those who come."""
        self._gate(name).released.set()

    def close_gates(self) -> None:
        """Gates reached from now on hold again."""
        self._gates = {}

    def forget_calls(self) -> None:
        """No calls and no counts; calls still being played end unseen."""
        self._calls.clear()
        self._counts.clear()
        self._total = 0

    def _gate(self, name: str) -> _Gate:
        return self._gates.setdefault(name, _Gate())

    def _count(self, call: Call, outcome: Outcome) -> None:
        call.outcome = outcome
        self._counts[outcome] += 1
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
