"""Who calls, and how that is found out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """What a principal may do beyond its own sessions."""

    USER = "user"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: every query is bound to `owner_id` (G8). `name` is for the audit trail, never a secret."""

    name: str
    owner_id: str
    roles: frozenset[Role] = frozenset({Role.USER})


class Authenticator(Protocol):
    """Turns what a call and its connection prove into a principal."""

    async def authenticate(
        self, metadata: Sequence[tuple[str, str | bytes]], certificate_names: Sequence[str] = ()
    ) -> Principal:
        """The caller; `certificate_names` are the alternative names of a verified client certificate.

        Raises UnauthenticatedError, or GatewayKeyRequiredError when a key that is no gateway names an owner.

        Reads no database and takes the same time whichever part of a credential is wrong.
        """
