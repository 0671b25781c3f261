"""How many bytes of requests each principal has in work at this process: large ones have to come one after another."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from google.protobuf.message import Message

from server.interceptors.rpc import Proceed, Rpc
from services.domain.errors import TooManyBytesError

# Of these a connection cannot have enough at once to matter, and they are nearly all calls.
_SMALL = 16 << 10
_RETRY_AFTER_SECONDS = 1.0


class RequestBytes:
    """Lets the requests of one owner's calls hold so many bytes at once, for as long as the calls last.

    One that is larger than that is let in when it comes alone: it could never be otherwise. A unary call whose caller
    has left lasts until its handler has ended.
    """

    def __init__(self, per_owner: int) -> None:
        self._per_owner = per_owner
        self._held: Counter[str] = Counter()

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises TooManyBytesError."""
        size = rpc.request.ByteSize() if isinstance(rpc.request, Message) else 0
        if size <= _SMALL or rpc.principal is None:
            return await proceed()
        owner = rpc.principal.owner_id
        if self._held[owner] and self._held[owner] + size > self._per_owner:
            raise TooManyBytesError(
                f"requests with {self._held[owner]} bytes are in work; send this one after them",
                retry_after=_RETRY_AFTER_SECONDS,
                quota=("principal:request_bytes", f"{self._per_owner} bytes of requests at once"),
                metadata={"limit_bytes": str(self._per_owner)},
            )
        self._held[owner] += size
        try:
            return await proceed()
        finally:
            rpc.when_over(partial(self._give_back, owner, size))

    def _give_back(self, owner: str, size: int) -> None:
        self._held[owner] -= size
        if not self._held[owner]:
            del self._held[owner]
