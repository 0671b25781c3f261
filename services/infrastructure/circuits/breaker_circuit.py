"""One circuit: pybreaker counts and changes state, and this decides which calls may pass and which outcomes count."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import pybreaker

from services.application.ports.circuits import Admission, CircuitOpenError, CircuitState

PROBE_BUSY_SECONDS = 1.0
"""When to come back while somebody else's probe is out: nobody knows how long that takes."""

_STATES = {
    pybreaker.STATE_CLOSED: CircuitState.CLOSED,
    pybreaker.STATE_OPEN: CircuitState.OPEN,
    pybreaker.STATE_HALF_OPEN: CircuitState.HALF_OPEN,
}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CircuitLimits:
    """So many failures in a row open a circuit for so many seconds; so many probes in a row close it."""

    failures: int
    open_time: float
    successes: int = 1


class BreakerCircuit:
    """A `Circuit` over pybreaker.

    Of pybreaker only what holds for asynchronous calls is used. Its way to guard a call lets everybody pass half-open,
    takes a cancellation for a failure and an excluded error for a success; and it measures by the wall clock, which
    jumps.
    """

    def __init__(self, name: str, limits: CircuitLimits, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._open_time = limits.open_time
        self._monotonic = monotonic
        self._storage = _MonotonicStorage(monotonic)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=limits.failures,
            reset_timeout=limits.open_time,
            success_threshold=limits.successes,
            state_storage=self._storage,
            listeners=[_Changes(self._changed)],
            name=name,
            throw_new_error_on_trip=False,
        )
        self._generation = 0
        self._probe: _Admission | None = None

    @property
    def state(self) -> CircuitState:
        """The state by outcomes alone: an open circuit stays open until somebody takes the probe that is due."""
        return _STATES[self._breaker.current_state]

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return int(self._breaker.fail_counter)

    def open_for(self) -> float | None:
        """See `Circuit.open_for`."""
        state = self.state
        if state is CircuitState.OPEN:
            left = self._storage.opened + self._open_time - self._monotonic()
            return left if left > 0 else None
        if state is CircuitState.HALF_OPEN and self._probe is not None:
            return min(PROBE_BUSY_SECONDS, self._open_time)
        return None

    def admit(self) -> Admission:
        """See `Circuit.admit`."""
        wait = self.open_for()
        if wait is not None:
            raise CircuitOpenError(wait)
        if self.state is CircuitState.OPEN:
            self._breaker.half_open()
        admission = _Admission(self, self._generation)
        if self.state is CircuitState.HALF_OPEN:
            self._probe = admission
        return admission

    def recovered(self) -> None:
        """Somebody outside of all calls has seen the dependency work: whoever waits for a probe need not."""
        if self.state is not CircuitState.CLOSED:
            self._probe = None
            self._breaker.close()

    def settle(self, admission: _Admission, call: Callable[[], None] | None) -> None:
        """Records what `call` does as an outcome, unless the state has changed since the admission; None is none."""
        if admission is self._probe:
            self._probe = None
        if call is not None and admission.generation == self._generation:
            # Never while open: opening made a new generation, of which nothing is admitted.
            with suppress(_Failure):
                self._breaker.call(call)

    def _changed(self, state: CircuitState) -> None:
        self._generation += 1
        _log.warning("circuit of %s: %s", self.name, state.value, extra={"failures": self.failures})


class _Admission:
    def __init__(self, circuit: BreakerCircuit, generation: int) -> None:
        self.generation = generation
        self._circuit: BreakerCircuit | None = circuit

    def succeeded(self) -> None:
        self._settle(_succeed)

    def failed(self) -> None:
        self._settle(_fail)

    def dropped(self) -> None:
        self._settle(None)

    def _settle(self, call: Callable[[], None] | None) -> None:
        circuit, self._circuit = self._circuit, None
        if circuit is not None:
            circuit.settle(self, call)


class _Failure(Exception):
    """Tells pybreaker of a failure; never leaves this file."""


def _succeed() -> None:
    """An outcome."""


def _fail() -> None:
    raise _Failure


class _MonotonicStorage(pybreaker.CircuitMemoryStorage):
    """Notes when the circuit opened by a clock that does not jump."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        super().__init__(pybreaker.STATE_CLOSED)
        self._monotonic = monotonic
        self.opened = 0.0

    @property
    def opened_at(self) -> datetime | None:
        return self._opened_at

    @opened_at.setter
    def opened_at(self, opened_at: datetime) -> None:
        self._opened_at = opened_at
        self.opened = self._monotonic()


class _Changes(pybreaker.CircuitBreakerListener):
    """Hears of every change of state."""

    def __init__(self, changed: Callable[[CircuitState], None]) -> None:
        self._changed = changed

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        self._changed(_STATES[new_state.name])
