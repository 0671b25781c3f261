"""What each RPC needs from outside the process; beside the chain, because circuit breaking asks it for every call."""

from __future__ import annotations

from agent_runtime.v1 import message_service_pb2
from services.application.ports.circuits import Need

_PREFIX = "/agent_runtime.v1."

NEEDS_NOTHING = frozenset({f"{_PREFIX}OperationsService/GetStatus", f"{_PREFIX}OperationsService/SetLogLevel"})
"""For the operator who wants to know what is wrong. All other RPCs need the database; health and reflection do not
pass here."""

ANSWERED_FROM_MEMORY = frozenset({f"{_PREFIX}AgentService/ListAgents", f"{_PREFIX}AgentService/GetAgent"})
"""Those that read no database, so that their success says nothing about it."""

SEND_MESSAGE = f"{_PREFIX}MessageService/SendMessage"

_INPUTS_FOR_THE_MODEL = frozenset({"user_message", "resume"})


def needs_of(method: str, request: object) -> frozenset[Need]:
    """The needs of one call; `request` is the decoded message.

    The model is needed to begin something new, and for nothing else: what a tool has done and what a person has decided
    or answered is taken in even if the turn cannot go on, and so is a re-attachment.
    """
    if method in NEEDS_NOTHING:
        return frozenset()
    if method == SEND_MESSAGE and isinstance(request, message_service_pb2.SendMessageRequest):
        begins = request.WhichOneof("input") in _INPUTS_FOR_THE_MODEL
        if begins and not request.HasField("after_sequence"):
            return frozenset({Need.DATABASE, Need.MODEL})
    return frozenset({Need.DATABASE})
