"""OperationsService, announced and not offered yet."""

from __future__ import annotations

from agent_runtime.v1.operations_service_pb2_grpc import OperationsServiceServicer
from server.handlers.not_implemented import not_implemented_yet


class OperationsHandler(OperationsServiceServicer):
    """Answers the RPCs of OperationsService."""

    GetStatus = not_implemented_yet("OperationsService/GetStatus")
    ListDeadLetters = not_implemented_yet("OperationsService/ListDeadLetters")
    RetryDeadLetters = not_implemented_yet("OperationsService/RetryDeadLetters")
    DeleteDeadLetters = not_implemented_yet("OperationsService/DeleteDeadLetters")
    ListAuditRecords = not_implemented_yet("OperationsService/ListAuditRecords")
    CleanUpSessions = not_implemented_yet("OperationsService/CleanUpSessions")
    ReloadAgents = not_implemented_yet("OperationsService/ReloadAgents")
    SetLogLevel = not_implemented_yet("OperationsService/SetLogLevel")
