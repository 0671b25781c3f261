"""Circuit breakers: pybreaker's states and thresholds behind the `Circuits` port."""

from __future__ import annotations

from services.infrastructure.circuits.breaker_circuit import BreakerCircuit, CircuitLimits
from services.infrastructure.circuits.process_circuits import ProcessCircuits

__all__ = ["BreakerCircuit", "CircuitLimits", "ProcessCircuits"]
