"""Every circuit of this process in one place, where calls are admitted by them and operators look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from services.application.ports.circuits import CircuitView, Need
from services.infrastructure.circuits.breaker_circuit import BreakerCircuit, CircuitLimits

MODEL_LIMITS = CircuitLimits(failures=5, open_time=60.0, successes=3)
DATABASE_LIMITS = CircuitLimits(failures=5, open_time=5.0)


class ProcessCircuits:
    """The `Circuits` of one process; there are as many routes as the configuration and the agents name."""

    def __init__(
        self,
        *,
        model: CircuitLimits = MODEL_LIMITS,
        database: CircuitLimits = DATABASE_LIMITS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.database = BreakerCircuit("the database", database, monotonic)
        self._model = model
        self._monotonic = monotonic
        self._routes: dict[tuple[str, str], BreakerCircuit] = {}

    def of_route(self, base_url: str, model: str) -> BreakerCircuit:
        """See `Circuits.of_route`."""
        key = (base_url, model)
        if key not in self._routes:
            self._routes[key] = BreakerCircuit(f"{model} at {base_url}", self._model, self._monotonic)
        return self._routes[key]

    def open_for(self, need: Need) -> float | None:
        """See `Circuits.open_for`."""
        waits = [circuit.open_for() for circuit in self._of(need)]
        known = [wait for wait in waits if wait is not None]
        return min(known) if known and len(known) == len(waits) else None

    def states(self) -> Sequence[CircuitView]:
        """See `Circuits.states`."""
        return [
            CircuitView(need, circuit.name, circuit.state, circuit.failures, circuit.open_for())
            for need in Need
            for circuit in self._of(need)
        ]

    def _of(self, need: Need) -> Sequence[BreakerCircuit]:
        return [self.database] if need is Need.DATABASE else list(self._routes.values())
