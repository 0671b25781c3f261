"""What storage forgets with time."""

from __future__ import annotations

from typing import Protocol


class Housekeeping(Protocol):
    """Removes what nobody can need any more, a bounded part at a time. Any number of replicas may do it at once.

    Ages are seconds by the database's clock; each call returns how many things it removed.
    """

    async def compact(self, *, older_than: float, limit: int) -> int:
        """Removes the deltas of turns that ended so long ago; their messages stay. Counts turns."""

    async def forget_requests(self, *, older_than: float) -> int:
        """Removes request ids; a repeat that comes later is a new request."""

    async def forget_deleted_sessions(self, *, older_than: float) -> int:
        """Removes what kept the ids of deleted sessions taken."""

    async def forget_audit_records(self, *, older_than: float) -> int:
        """Removes audit records, whether what they are about is still there or not."""
