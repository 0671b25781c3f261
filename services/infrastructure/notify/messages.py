"""What a hint looks like on its way: `key:number` pairs, or nothing at all when there are too many to name."""

from __future__ import annotations

from collections.abc import Mapping

from services.application.ports import Growth

MAX_PAYLOAD = 7_000  # bytes; PostgreSQL takes less than 8,000


def channel_of(incarnation: str) -> str:
    """Where an incarnation listens; fit for an SQL identifier without quotes."""
    return f"agent_runtime_{incarnation}"


def written(growths: Mapping[int, int]) -> str:
    """The payload; empty means: look at everything."""
    payload = ",".join(f"{key}:{number}" for key, number in growths.items())
    return payload if len(payload) <= MAX_PAYLOAD else ""


def read(payload: str) -> list[Growth] | None:
    """What a payload says; None when it says to look at everything, as one does that cannot be read."""
    try:
        pairs = [pair.split(":") for pair in payload.split(",")]
        return [Growth(int(key), int(number)) for key, number in pairs]
    except ValueError:
        return None
