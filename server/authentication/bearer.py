"""What the metadata of a call claims, read strictly: one credential, at most one owner, both harmless text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from server.identity_settings import OWNER_ID, OWNER_ID_RULE
from services.application.ports import Principal
from services.domain.errors import GatewayKeyRequiredError, InvalidArgumentError, UnauthenticatedError

AUTHORIZATION_KEY = "authorization"
OWNER_KEY = "x-owner-id"

CallMetadata = Sequence[tuple[str, str | bytes]]


def has_bearer(metadata: CallMetadata) -> bool:
    """Whether `authorization` is there at all, well-formed or not."""
    return bool(_values(metadata, AUTHORIZATION_KEY))


def bearer_credential(metadata: CallMetadata) -> str:
    """The credential of the one `authorization: Bearer …`. Raises UnauthenticatedError otherwise."""
    values = _values(metadata, AUTHORIZATION_KEY)
    if len(values) != 1 or not isinstance(values[0], str):
        raise UnauthenticatedError
    scheme, _, credential = values[0].partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise UnauthenticatedError
    return credential


def claimed_owner(metadata: CallMetadata) -> str | None:
    """The owner named in `x-owner-id`, or None. Raises InvalidArgumentError for several or one that is no owner id."""
    values = _values(metadata, OWNER_KEY)
    if not values:
        return None
    if len(values) > 1 or not isinstance(values[0], str) or OWNER_ID.fullmatch(values[0]) is None:
        raise InvalidArgumentError.of(OWNER_KEY, f"at most one, which {OWNER_ID_RULE}")
    return values[0]


def acting_for(principal: Principal, metadata: CallMetadata, *, gateway: bool) -> Principal:
    """The principal, for the owner in `x-owner-id` if there is one.

    Raises GatewayKeyRequiredError when one is named, well-formed or not, by who is no gateway; InvalidArgumentError.
    """
    if not gateway and _values(metadata, OWNER_KEY):
        raise GatewayKeyRequiredError("only a gateway's key may name an owner in x-owner-id")
    owner_id = claimed_owner(metadata)
    return principal if owner_id is None else replace(principal, owner_id=owner_id)


def _values(metadata: CallMetadata, key: str) -> list[str | bytes]:
    """The values of a key and of its binary twin, which counts as a value that is no text."""
    return [value if name == key else b"" for name, value in metadata if name == key or name == f"{key}-bin"]
