"""Who calls is known before anything is read or done, and from the credential alone."""

from __future__ import annotations

from collections.abc import Collection
from contextvars import ContextVar
from typing import Any

from server.interceptors.rpc import Proceed, Rpc
from services.application.ports import Authenticator, Principal, Role
from services.domain.errors import OperatorRoleRequiredError, UnauthenticatedError

OPERATOR_SERVICES = frozenset({"agent_runtime.v1.OperationsService"})

_principal: ContextVar[Principal | None] = ContextVar("principal", default=None)


def current_principal() -> Principal:
    """Who the call of this task acts for. Raises UnauthenticatedError outside of an authenticated call."""
    principal = _principal.get()
    if principal is None:
        raise UnauthenticatedError
    return principal


class Authentication:
    """Lets a call proceed as the principal its metadata proves; operators' services need the operator role."""

    def __init__(self, authenticator: Authenticator, operator_services: Collection[str] = OPERATOR_SERVICES) -> None:
        self._authenticator = authenticator
        self._operator_services = operator_services

    async def __call__(self, rpc: Rpc, proceed: Proceed) -> Any:
        """Raises UnauthenticatedError, GatewayKeyRequiredError, OperatorRoleRequiredError."""
        principal = await self._authenticator.authenticate(rpc.metadata, rpc.certificate_names)
        rpc.principal = principal
        _principal.set(principal)
        if rpc.service in self._operator_services and Role.OPERATOR not in principal.roles:
            raise OperatorRoleRequiredError("this service is for operators")
        return await proceed()
