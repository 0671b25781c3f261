"""How many replicas live, known without asking: what each may do of a limit that all share."""

from __future__ import annotations

import asyncio
import logging

from services.application.ports import Leases
from services.domain.errors import RuntimeServiceError

logger = logging.getLogger(__name__)

# So soon a new replica, and one that is gone, is counted; behind it comes the lease of the dead.
_INTERVAL = 2.0


class ReplicaCount:
    """Looks at the leases every two seconds; `run` must be running. Says 1 until it has looked."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._living = 1

    def __call__(self) -> int:
        """The replicas that lived at the last look, this one among them; at least 1."""
        return self._living

    async def run(self) -> None:
        """Looks for ever. While the database is away the last number stays."""
        while True:
            try:
                await self.look()
            except RuntimeServiceError as error:
                logger.warning("replicas cannot be counted: %s", error.reason)
            await asyncio.sleep(_INTERVAL)

    async def look(self) -> None:
        """Counts them once. Raises DatabaseUnavailableError."""
        self._living = await self._leases.count_living()
