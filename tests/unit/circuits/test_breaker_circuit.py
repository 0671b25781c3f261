"""A circuit against a model of it: whatever calls do and in whatever order, it admits and counts as promised."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from services.application.ports.circuits import Admission, CircuitOpenError, CircuitState
from services.infrastructure.circuits import BreakerCircuit, CircuitLimits

FAILURES, OPEN_TIME, SUCCESSES = 5, 60.0, 3
ROUNDING = 1e-9  # of sums of seconds
LIMITS = CircuitLimits(FAILURES, OPEN_TIME, SUCCESSES)


def admitted_of(circuit: BreakerCircuit, callers: int) -> list[Admission]:
    """Leave for as many as get it; the others are told when to come back."""
    got, waits = [], []
    for _ in range(callers):
        try:
            got.append(circuit.admit())
        except CircuitOpenError as refused:
            waits.append(refused.retry_after)
    assert all(0 < wait <= OPEN_TIME + ROUNDING for wait in waits)
    return got


class AnyCalls(RuleBasedStateMachine):
    """Calls begin and end in any order while time passes; the model is a counter, a time and the probe."""

    admitted = Bundle("admitted")

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.circuit = BreakerCircuit("m", LIMITS, lambda: self.now)
        self.state = CircuitState.CLOSED
        self.failures = self.successes = 0
        self.opened = 0.0
        self.era = 0
        self.probe: Admission | None = None

    @rule(target=admitted, callers=st.integers(1, 20))
    def begin(self, callers: int) -> object:
        """Several at once: half-open, one of them gets through."""
        due = self.state is CircuitState.OPEN and self.now - self.opened >= OPEN_TIME
        if due:
            self._enter(CircuitState.HALF_OPEN)
        expected = {CircuitState.CLOSED: callers, CircuitState.OPEN: 0, CircuitState.HALF_OPEN: self.probe is None}
        got = [(admission, self.era) for admission in admitted_of(self.circuit, callers)]
        assert len(got) == expected[self.state]
        if self.state is CircuitState.HALF_OPEN and got:
            self.probe = got[0][0]
        return multiple(*got)

    @rule(call=consumes(admitted), outcome=st.sampled_from(["succeeded", "failed", "dropped"]))
    def end(self, call: tuple[Admission, int], outcome: str) -> None:
        """Only the outcomes of calls of this era count, and only their first."""
        admission, era = call
        getattr(admission, outcome)()
        admission.failed()
        admission.succeeded()
        if admission is self.probe:
            self.probe = None
        if era != self.era or outcome == "dropped":
            return
        if outcome == "failed":
            self.failures += 1
            if self.state is CircuitState.HALF_OPEN or self.failures == FAILURES:
                self.opened = self.now
                self._enter(CircuitState.OPEN)
        else:
            self.failures = 0
            self.successes += self.state is CircuitState.HALF_OPEN
            if self.successes == SUCCESSES:
                self._enter(CircuitState.CLOSED)

    @rule()
    def recover(self) -> None:
        self.circuit.recovered()
        if self.state is not CircuitState.CLOSED:
            self._enter(CircuitState.CLOSED)

    @rule(seconds=st.floats(0, OPEN_TIME * 1.5))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_circuit_is_as_the_model(self) -> None:
        assert self.circuit.state is self.state
        left = self.circuit.open_for()
        if self.state is CircuitState.OPEN:
            remaining = self.opened + OPEN_TIME - self.now
            assert left == (remaining if remaining > 0 else None)
        else:
            assert (left is not None) == (self.state is CircuitState.HALF_OPEN and self.probe is not None)

    def _enter(self, state: CircuitState) -> None:
        self.state = state
        self.era += 1
        self.failures = self.successes = 0
        self.probe = None


TestAnyCalls = AnyCalls.TestCase
TestAnyCalls.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def opened(now: list[float], limits: CircuitLimits = LIMITS) -> BreakerCircuit:
    circuit = BreakerCircuit("m", limits, lambda: now[0])
    for _ in range(limits.failures):
        circuit.admit().failed()
    return circuit


def test_half_open_admits_exactly_one_of_a_thousand() -> None:
    now = [0.0]
    circuit = opened(now)
    assert admitted_of(circuit, 1000) == []
    now[0] = OPEN_TIME
    for left in (2, 1, 0):
        (probe,) = admitted_of(circuit, 1000)
        probe.succeeded()
        assert (circuit.state is CircuitState.CLOSED) == (left == 0)
    assert len(admitted_of(circuit, 1000)) == 1000


def test_a_failed_probe_opens_it_again_for_the_whole_time() -> None:
    now = [0.0]
    circuit = opened(now)
    now[0] = OPEN_TIME
    circuit.admit().failed()
    assert circuit.open_for() == OPEN_TIME


def test_looking_takes_no_probe() -> None:
    now = [0.0]
    circuit = opened(now)
    now[0] = OPEN_TIME
    assert [circuit.open_for() for _ in range(3)] == [None] * 3
    assert circuit.state is CircuitState.OPEN
    circuit.admit()
    assert circuit.open_for() is not None


def test_a_probe_that_says_nothing_leaves_its_place_to_the_next() -> None:
    now = [0.0]
    circuit = opened(now)
    now[0] = OPEN_TIME
    circuit.admit().dropped()
    assert circuit.state is CircuitState.HALF_OPEN
    assert len(admitted_of(circuit, 10)) == 1


def test_calls_from_before_do_not_decide_about_the_probe() -> None:
    now = [0.0]
    circuit = BreakerCircuit("m", LIMITS, lambda: now[0])
    calls = [circuit.admit() for _ in range(FAILURES + 2)]
    for call in calls[:FAILURES]:
        call.failed()
    now[0] = OPEN_TIME
    probe = circuit.admit()
    calls[-1].failed()
    calls[-2].succeeded()
    assert circuit.state is CircuitState.HALF_OPEN
    probe.succeeded()


@pytest.mark.parametrize("limits", [CircuitLimits(1, 0.5), CircuitLimits(3, 5.0, 2)])
def test_it_closes_within_a_second_after_its_time(limits: CircuitLimits) -> None:
    now = [0.0]
    circuit = opened(now, limits)
    while circuit.state is not CircuitState.CLOSED:
        now[0] += 0.1
        for call in admitted_of(circuit, 1):
            call.succeeded()
    assert limits.open_time <= now[0] <= limits.open_time + 1
