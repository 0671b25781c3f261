"""Settings for servers under a load that no single caller may make, where a test is about something else."""

from __future__ import annotations

_MANY = "100000000"

NEVER_BUSY = {"OVERLOAD_LAG": "60"}
"""A server that takes new turns on however slow a machine, and however many come at once."""

UNLIMITED = {
    f"LIMITS__{name}": _MANY
    for name in (
        "WORK_PER_MINUTE",
        "ANSWERS_PER_MINUTE",
        "WATCHES_PER_MINUTE",
        "READS_PER_MINUTE",
        "STREAMS",
        "REQUEST_BYTES",
        "RUNNING_TURNS",
        "SESSIONS",
    )
} | NEVER_BUSY
"""One caller may do anything, as often and as much as it likes, on however slow a machine; all calls are counted."""
