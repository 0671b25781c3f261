"""Which ways of authentication the settings ask for."""

from __future__ import annotations

from collections.abc import Sequence

from server.authentication.bearer import CallMetadata, bearer_credential, has_bearer
from server.authentication.certificates import CertificateAuthenticator
from server.authentication.development import DevelopmentAuthenticator
from server.authentication.key_set import KeySet
from server.authentication.key_set_sources import reader_of
from server.authentication.static_keys import StaticKeyAuthenticator
from server.authentication.tokens import TokenAuthenticator, is_token
from server.config import Settings
from services.application.ports import Authenticator, Clock, Principal


class CredentialAuthenticator:
    """An Authenticator that has the credential of a call judged by who knows its kind.

    A call's own credential is the whole claim: a certificate counts only where there is no other.
    """

    def __init__(self, keys: Authenticator, tokens: Authenticator | None, certificates: Authenticator) -> None:
        self._keys = keys
        self._tokens = tokens
        self._certificates = certificates

    async def authenticate(self, metadata: CallMetadata, certificate_names: Sequence[str] = ()) -> Principal:
        """Raises UnauthenticatedError, GatewayKeyRequiredError, InvalidArgumentError for no valid owner."""
        chosen = self._certificates
        if has_bearer(metadata) or not certificate_names:
            by_token = self._tokens is not None and is_token(bearer_credential(metadata))
            chosen = self._tokens if by_token and self._tokens is not None else self._keys
        return await chosen.authenticate(metadata, certificate_names)


def key_set_of(settings: Settings, clock: Clock) -> KeySet | None:
    """The keys of the tokens' issuer, which must be kept up by running it; None when no tokens are taken."""
    return KeySet(reader_of(settings.jwt.key_set), clock) if settings.jwt.key_set else None


def authenticator_for(settings: Settings, key_set: KeySet | None = None) -> Authenticator:
    """Whatever credentials are set up, together. With none: everybody in development, otherwise nobody."""
    if settings.dev and not settings.anybody_may_call:
        return DevelopmentAuthenticator()
    return CredentialAuthenticator(
        StaticKeyAuthenticator(settings.keys),
        TokenAuthenticator(settings.jwt, key_set) if key_set is not None else None,
        CertificateAuthenticator(settings.tls.clients),
    )


def authentication_mode(settings: Settings) -> str:
    """The same for people, such as `2 static keys, tokens`."""
    ways = [
        f"{len(settings.keys)} static key{'s' if len(settings.keys) > 1 else ''}" if settings.keys else "",
        "tokens" if settings.jwt.key_set else "",
        "client certificates" if settings.tls.clients else "",
    ]
    return ", ".join(way for way in ways if way) or "none (development)"
