"""Rate limits: sliding windows in this process, and those that replicas share in Redis, behind the `RateWindows` port.

The library `limits` is not used: its windows follow the wall clock of whoever calls, so that two replicas whose clocks
differ limit each other, and its memory storage costs more than a read does.
"""

from __future__ import annotations

from services.infrastructure.rates.known_refusals import KnownRefusals
from services.infrastructure.rates.local_windows import LocalWindows
from services.infrastructure.rates.redis_windows import RedisWindows
from services.infrastructure.rates.replica_rates import LocalShare, SharedRates

__all__ = ["KnownRefusals", "LocalShare", "LocalWindows", "RedisWindows", "SharedRates"]
