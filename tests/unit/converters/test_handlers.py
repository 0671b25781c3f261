"""Every RPC of the contract has a method of ours, and those not offered yet refuse; nobody meets gRPC's stand-ins."""

from __future__ import annotations

import asyncio

import pytest

from server.handlers.agent_handler import AgentHandler
from server.handlers.approval_handler import ApprovalHandler
from server.handlers.message_handler import MessageHandler
from server.handlers.not_implemented import NOT_IMPLEMENTED_YET
from server.handlers.operations_handler import OperationsHandler
from server.handlers.session_handler import SessionHandler
from services.domain.errors import NotImplementedYetError

HANDLERS: dict[str, type[object]] = {
    "SessionService": SessionHandler,
    "AgentService": AgentHandler,
    "MessageService": MessageHandler,
    "ApprovalService": ApprovalHandler,
    "OperationsService": OperationsHandler,
}


def rpcs(handler: type[object]) -> set[str]:
    """The RPCs that the generated class announces."""
    (servicer,) = handler.__bases__
    return {name for name in vars(servicer) if not name.startswith("_")}


@pytest.mark.parametrize("service", HANDLERS)
def test_every_rpc_is_ours(service: str) -> None:
    handler = HANDLERS[service]
    assert rpcs(handler) - set(vars(handler)) == set()
    assert all(asyncio.iscoroutinefunction(vars(handler)[rpc]) for rpc in rpcs(handler))


@pytest.mark.parametrize("name", NOT_IMPLEMENTED_YET)
async def test_what_is_not_offered_yet_is_refused_by_name(name: str) -> None:
    service, rpc = name.split("/")
    with pytest.raises(NotImplementedYetError, match=f"^{name} is not implemented yet$"):
        await vars(HANDLERS[service])[rpc](None, None, None)


def test_nothing_refuses_that_is_not_listed() -> None:
    refusing = {
        f"{service}/{rpc}"
        for service, handler in HANDLERS.items()
        for rpc in rpcs(handler)
        if vars(handler)[rpc].__module__ == "server.handlers.not_implemented"
    }
    assert refusing == set(NOT_IMPLEMENTED_YET)
