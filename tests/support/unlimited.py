"""Settings for servers that many tests use, where they are about something else than what is set here."""

from __future__ import annotations

_MANY = "100000000"

NEVER_BUSY = {"OVERLOAD_LAG": "60"}
"""A server that takes new turns on however slow a machine, and however many come at once."""

APPROVAL_WAIT, TOOL_RESULT_WAIT = 30_000, 90_000
PATIENT = {"TURNS__APPROVAL_WAIT": str(APPROVAL_WAIT), "TURNS__TOOL_RESULT_WAIT": str(TOOL_RESULT_WAIT)}
"""A server whose turns wait for people longer than all tests take, in seconds: a turn that a test has left behind does
not go on minutes later and ask the model for what another test's script holds.
"""

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
