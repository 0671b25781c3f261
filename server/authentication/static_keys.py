"""Callers known by keys from the settings: enough for a gateway, and for machines."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from server.authentication.bearer import CallMetadata, acting_for, bearer_credential
from server.identity_settings import ServiceKey
from services.application.ports import Principal
from services.domain.errors import UnauthenticatedError


@dataclass(frozen=True, slots=True)
class _KnownKey:
    digest: bytes
    principal: Principal
    gateway: bool


class StaticKeyAuthenticator:
    """An Authenticator over a fixed list of keys; several may be valid for the same name, so keys can be rotated."""

    def __init__(self, keys: Sequence[ServiceKey]) -> None:
        # Digests have one length, so comparing them tells nothing about a key's; and no key stays in memory here.
        self._keys = [
            _KnownKey(
                _digest(entry.key.get_secret_value()), Principal(entry.name, entry.owner, entry.roles), entry.gateway
            )
            for entry in keys
        ]

    async def authenticate(self, metadata: CallMetadata, certificate_names: Sequence[str] = ()) -> Principal:
        """The key's principal; for a gateway's key, acting for the owner in `x-owner-id` if that is given.

        Raises UnauthenticatedError, GatewayKeyRequiredError, InvalidArgumentError when a gateway names no valid owner.
        """
        digest = _digest(bearer_credential(metadata))
        found: _KnownKey | None = None
        # All of them, always: the time does not tell which one matched.
        for known in self._keys:
            if hmac.compare_digest(known.digest, digest):
                found = known
        if found is None:
            raise UnauthenticatedError
        return acting_for(found.principal, metadata, gateway=found.gateway)


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).digest()
