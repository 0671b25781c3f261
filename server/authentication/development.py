"""No credentials at all, for a developer's own machine."""

from __future__ import annotations

from collections.abc import Sequence

from server.authentication.bearer import CallMetadata, claimed_owner
from services.application.ports import Principal, Role

DEV_NAME = "dev"
_ALL_ROLES = frozenset(Role)


class DevelopmentAuthenticator:
    """An Authenticator that takes everyone for the principal `dev`, an operator that may act for any owner."""

    async def authenticate(self, metadata: CallMetadata, certificate_names: Sequence[str] = ()) -> Principal:
        """`dev`, or `dev` for the owner in `x-owner-id`. Raises InvalidArgumentError when that is no owner id."""
        return Principal(DEV_NAME, claimed_owner(metadata) or DEV_NAME, _ALL_ROLES)
