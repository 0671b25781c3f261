"""Callers known by the certificate of their connection."""

from __future__ import annotations

from collections.abc import Sequence

from server.authentication.bearer import CallMetadata, acting_for
from server.identity_settings import ClientCertificate
from services.application.ports import Principal
from services.domain.errors import UnauthenticatedError


class CertificateAuthenticator:
    """An Authenticator over a list of alternative names; that a certificate is genuine was verified by TLS."""

    def __init__(self, clients: Sequence[ClientCertificate]) -> None:
        self._clients = {
            client.subject: (Principal(client.name, client.owner, client.roles), client.gateway) for client in clients
        }

    async def authenticate(self, metadata: CallMetadata, certificate_names: Sequence[str] = ()) -> Principal:
        """The principal of the one name that is known; a certificate that could be two of them is nobody's.

        Raises UnauthenticatedError, GatewayKeyRequiredError, InvalidArgumentError when a gateway names no valid owner.
        """
        found = [self._clients[name] for name in set(certificate_names) if name in self._clients]
        if len(found) != 1:
            raise UnauthenticatedError
        principal, gateway = found[0]
        return acting_for(principal, metadata, gateway=gateway)
