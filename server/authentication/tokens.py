"""Callers known by a token of an issuer (JWT), whose word on owner and roles is taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jwt

from server.authentication.bearer import CallMetadata, acting_for, bearer_credential
from server.authentication.key_set import KeySet
from server.identity_settings import OWNER_ID, TokenSettings
from services.application.ports import Principal, Role
from services.domain.errors import UnauthenticatedError

MAX_TOKEN_BYTES = 8 << 10
_MAX_KEY_ID = 256


class TokenAuthenticator:
    """An Authenticator over the tokens of one issuer.

    Which key and algorithm verify a token is decided by the issuer's key set; the token only names the key.
    """

    def __init__(self, settings: TokenSettings, keys: KeySet) -> None:
        self._settings = settings
        self._keys = keys

    async def authenticate(self, metadata: CallMetadata, certificate_names: Sequence[str] = ()) -> Principal:
        """The token's owner under the owner's own name. A token speaks for one owner, so `x-owner-id` is refused.

        Raises UnauthenticatedError, GatewayKeyRequiredError.
        """
        claims = await self._verified(bearer_credential(metadata))
        owner = claims.get(self._settings.owner_claim)
        if not isinstance(owner, str) or OWNER_ID.fullmatch(owner) is None:
            raise UnauthenticatedError
        operates = self._settings.operator_role in _roles(claims.get(self._settings.roles_claim))
        roles = frozenset({Role.USER, Role.OPERATOR}) if operates else frozenset({Role.USER})
        return acting_for(Principal(owner, owner, roles), metadata, gateway=False)

    async def _verified(self, token: str) -> Mapping[str, Any]:
        if len(token) > MAX_TOKEN_BYTES:
            raise UnauthenticatedError
        try:
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            # Extensions marked critical must be understood, and we understand none.
            if "crit" in header or not isinstance(key_id, str) or len(key_id) > _MAX_KEY_ID:
                raise UnauthenticatedError
            key = await self._keys.key(key_id)
            if key is None:
                raise UnauthenticatedError
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.leeway,
                options={"require": ["exp", "iss", "aud"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            raise UnauthenticatedError from None
        return claims


def is_token(credential: str) -> bool:
    """Whether it has the shape of a token: three parts, of which the first is a JSON object."""
    return credential.startswith("eyJ") and credential.count(".") == 2


def _roles(claim: object) -> Sequence[object]:
    return claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
