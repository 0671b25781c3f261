"""How many streams each principal has open at this process: what one holds, the others lack."""

from __future__ import annotations

from collections import Counter
from typing import Any

from server.interceptors.rpc import Proceed, Rpc
from services.domain.errors import TooManyStreamsError

# A stream ends when its turn pauses or ends, or when its watcher leaves; nobody knows when that is.
_RETRY_AFTER_SECONDS = 1.0


class StreamPlaces:
    """Lets so many streams of one owner be open at once, at this process. Holds nothing of an owner without streams."""

    def __init__(self, per_owner: int) -> None:
        self._per_owner = per_owner
        self._open: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many streams are open, of all owners."""
        return self._open.total()

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises TooManyStreamsError."""
        if not rpc.streaming or rpc.principal is None:
            return await proceed()
        owner = rpc.principal.owner_id
        if self._open[owner] >= self._per_owner:
            raise TooManyStreamsError(
                f"{self._per_owner} streams are open here; end one first",
                retry_after=_RETRY_AFTER_SECONDS,
                quota=("principal:streams", f"{self._per_owner} open streams"),
                metadata={"limit": str(self._per_owner)},
            )
        self._open[owner] += 1
        try:
            return await proceed()
        finally:
            self._open[owner] -= 1
            if not self._open[owner]:
                del self._open[owner]
