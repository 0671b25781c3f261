"""Circuits: what this process has learned about the health of what it depends on, so that it stops asking in vain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Need(StrEnum):
    """What a call may depend on."""

    DATABASE = "database"
    MODEL = "model"


class CircuitState(StrEnum):
    """CLOSED lets every call pass, OPEN none, HALF_OPEN one at a time: the probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitView:
    """One circuit as it is now. `failures` are those in a row; `open_for` is as in `Circuit.open_for`."""

    need: Need
    name: str
    state: CircuitState
    failures: int
    open_for: float | None


class CircuitOpenError(Exception):
    """The call must not be made; `retry_after` is the time to the next probe, in seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"open for {retry_after:g} s")
        self.retry_after = retry_after


class Admission(Protocol):
    """Leave for one call. Its first outcome counts, and only while the circuit is as it was when leave was given.

    Every admission must get an outcome: one that is forgotten blocks all further probes.
    """

    def succeeded(self) -> None:
        """The dependency works."""

    def failed(self) -> None:
        """The dependency does not work."""

    def dropped(self) -> None:
        """The call says nothing about the dependency: it was cancelled, or refused for what was asked."""


class Circuit(Protocol):
    """Guards one dependency. Used on one event loop; nothing waits."""

    def admit(self) -> Admission:
        """Leave for one call, which is the probe if the circuit is not closed. Raises CircuitOpenError."""

    def open_for(self) -> float | None:
        """Seconds until a call may pass, or None if one may now. Only looks: a probe is not taken."""


class Circuits(Protocol):
    """All circuits of this process; other replicas learn for themselves."""

    @property
    def database(self) -> Circuit:
        """The one of the database, fed by the outcomes of calls."""

    def of_route(self, base_url: str, model: str) -> Circuit:
        """The one of a model at an address, fed by the model client; made when first asked for, and kept."""

    def open_for(self, need: Need) -> float | None:
        """Seconds to the next probe, or None if a call may pass; models are away only if all known routes are."""

    def states(self) -> Sequence[CircuitView]:
        """Every circuit, for status and metrics."""
