"""Words for faults in scripts: `reply(text("…"), fault=fault.reset_after(120))`."""

from __future__ import annotations

from devtools.scripted_model.script import Fault


def reset_after(count: int) -> Fault:
    """The connection is reset after this many bytes of the body."""
    return Fault(kind="reset", at_byte=count)


def cut_after(count: int) -> Fault:
    """The connection is closed after this many bytes, without the end that chunked transfer needs."""
    return Fault(kind="cut", at_byte=count)


def end_after(count: int) -> Fault:
    """The body ends after this many bytes, as if that were all."""
    return Fault(kind="end", at_byte=count)


def stall_after(count: int) -> Fault:
    """Nothing comes after this many bytes, and the connection stays open."""
    return Fault(kind="stall", at_byte=count)


def garbage_after(count: int) -> Fault:
    """Bytes without meaning come after this many bytes."""
    return Fault(kind="garbage", at_byte=count)
