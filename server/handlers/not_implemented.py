"""What the contract announces and this server does not offer yet, RPC by RPC."""

from __future__ import annotations

from typing import Any

from services.domain.errors import NotImplementedYetError

NOT_IMPLEMENTED_YET = (
    "OperationsService/GetStatus",
    "OperationsService/ListDeadLetters",
    "OperationsService/RetryDeadLetters",
    "OperationsService/DeleteDeadLetters",
    "OperationsService/ListAuditRecords",
    "OperationsService/CleanUpSessions",
    "OperationsService/ReloadAgents",
    "OperationsService/SetLogLevel",
)


def not_implemented_yet(rpc: str) -> Any:
    """A handler's method for a listed RPC, fit for any of them: refuses every call, whatever is in it."""

    async def refuse(_handler: object, _request: object, _context: object) -> None:
        raise NotImplementedYetError(f"{rpc} is not implemented yet")

    return refuse
