"""What the use cases need from the outside world; each port says what it promises, adapters keep the promise."""

from __future__ import annotations

from services.application.ports.agents import AgentCatalog
from services.application.ports.claims import Claim, FencedError, Incarnation
from services.application.ports.clock import Clock
from services.application.ports.housekeeping import Housekeeping
from services.application.ports.identity import Authenticator, Principal, Role
from services.application.ports.leases import Leases, OrphanedSession, OwnedHead
from services.application.ports.log import EventLog, LogPage, LogWriter
from services.application.ports.model import ModelClient
from services.application.ports.outbox import Outbox, OutboxEntry
from services.application.ports.reads import ReadModel
from services.application.ports.rules import ApprovalRules
from services.application.ports.store import Committed, Decision, IdempotencyKey, SessionStore
from services.application.ports.tools import Patterns, SchemaValidator, ToolCatalog
from services.application.ports.views import (
    AgentUsage,
    ApprovalView,
    InputProgress,
    ModelView,
    Page,
    PageKey,
    SessionFilter,
    SessionLocation,
    SessionSnapshot,
    SessionView,
)
from services.application.ports.waits import DueSession, Waits
from services.application.ports.wake_ups import Growth, WakeUps, Watches

__all__ = [
    "AgentCatalog",
    "AgentUsage",
    "ApprovalRules",
    "ApprovalView",
    "Authenticator",
    "Claim",
    "Clock",
    "Committed",
    "Decision",
    "DueSession",
    "EventLog",
    "FencedError",
    "Growth",
    "Housekeeping",
    "IdempotencyKey",
    "Incarnation",
    "InputProgress",
    "Leases",
    "LogPage",
    "LogWriter",
    "ModelClient",
    "ModelView",
    "OrphanedSession",
    "Outbox",
    "OutboxEntry",
    "OwnedHead",
    "Page",
    "PageKey",
    "Patterns",
    "Principal",
    "ReadModel",
    "Role",
    "SchemaValidator",
    "SessionFilter",
    "SessionLocation",
    "SessionSnapshot",
    "SessionStore",
    "SessionView",
    "ToolCatalog",
    "Waits",
    "WakeUps",
    "Watches",
]
