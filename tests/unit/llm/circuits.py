"""Circuits for tests that are not about them, and a clock for those that are."""

from __future__ import annotations

from services.infrastructure.circuits import CircuitLimits, ProcessCircuits


class Hands:
    """The hands of a clock that only tests move. Sleeping on it moves them, too, and returns at once."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patient_circuits() -> ProcessCircuits:
    """Circuits that no test opens by accident."""
    return ProcessCircuits(model=CircuitLimits(failures=1_000_000, open_time=60.0, successes=3))
