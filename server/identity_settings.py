"""Settings that say who may call: keys, the issuer of tokens, TLS and the certificates of clients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from services.application.ports import Role

MIN_KEY_BYTES = 32
OWNER_ID = re.compile(r"[A-Za-z0-9._@:-]{1,128}")
OWNER_ID_RULE = "must match ^[A-Za-z0-9._@:-]{1,128}$"

# What people copy from examples; a key of few different characters is one, too.
_PLACEHOLDER = re.compile(r"change.?me|example|placeholder|default|your.?key", re.IGNORECASE)
_MIN_DISTINCT_CHARACTERS = 8
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

Name = Annotated[str, Field(min_length=1, max_length=128)]
Claim = Annotated[str, Field(min_length=1)]


class _Identity(BaseModel):
    """Whom a credential stands for, and whether it may speak for other owners."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Name
    owner: str
    roles: frozenset[Role] = frozenset({Role.USER})
    gateway: bool = False

    @field_validator("owner")
    @classmethod
    def _owner_is_an_owner_id(cls, owner: str) -> str:
        if OWNER_ID.fullmatch(owner) is None:
            raise ValueError(OWNER_ID_RULE)
        return owner


class ServiceKey(_Identity):
    """A static credential."""

    key: SecretStr

    def weakness(self) -> str | None:
        """Why this key must not guard anything, or None."""
        secret = self.key.get_secret_value()
        if len(secret.encode()) < MIN_KEY_BYTES:
            return f"is shorter than {MIN_KEY_BYTES} bytes"
        if _PLACEHOLDER.search(secret) or len(set(secret)) < _MIN_DISTINCT_CHARACTERS:
            return "is a placeholder, not a secret"
        return None


class ClientCertificate(_Identity):
    """A client known by one of the alternative names of its certificate, such as `spiffe://acme/gateway`."""

    subject: Annotated[str, Field(min_length=1)]


class TokenSettings(BaseModel):
    """Tokens (JWT) of an issuer; only RS256 and ES256 are taken, by the kind of the issuer's key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_set: str = Field(
        "",
        description=(
            "The issuer's public keys (JWKS): an `https://` address, or a file; empty takes no tokens."
            " Read again every five minutes, and for a key not yet known at most once a minute."
        ),
    )
    issuer: str = Field("", description="The `iss` of every token.")
    audience: str = Field("", description="The `aud` of every token.")
    owner_claim: Claim = Field("sub", description="The claim that names the owner.")
    roles_claim: Claim = Field("roles", description="The claim that lists roles, as a list or separated by blanks.")
    operator_role: Claim = Field("agent-runtime-operator", description="The role that makes an operator.")
    leeway: Annotated[float, Field(ge=0, le=300)] = Field(
        30.0, description="By how much the clocks of issuer and server may differ."
    )

    @field_validator("key_set")
    @classmethod
    def _key_set_cannot_be_tampered_with(cls, key_set: str) -> str:
        parts = urlsplit(key_set)
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("must be an https:// address or a file: whoever changes the keys makes the tokens")
        if parts.scheme in {"http", "https"} and (not parts.hostname or parts.username or parts.password):
            raise ValueError("must be an address without user and password")
        return key_set

    @model_validator(mode="after")
    def _tokens_are_for_us(self) -> TokenSettings:
        if self.key_set and not (self.issuer and self.audience):
            raise ValueError("key_set needs an issuer and an audience: a token for somebody else must not be taken")
        return self


class TlsSettings(BaseModel):
    """Encryption; files are read again when they change, for the connections made from then on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    certificate: Path | None = Field(None, description="The server's certificate chain (PEM); unset means plaintext.")
    private_key: Path | None = Field(None, description="Its private key (PEM).")
    client_ca: Path | None = Field(
        None, description="Whom to believe about clients (PEM); set, every connection needs a certificate of theirs."
    )
    clients: tuple[ClientCertificate, ...] = Field(
        (),
        description=(
            'Clients who need no other credential than their certificate: a JSON list of `{"subject", "name", "owner",'
            ' "roles", "gateway"}`; `subject` is one of its alternative names, such as `spiffe://acme/gateway`.'
        ),
    )

    @model_validator(mode="after")
    def _files_belong_together(self) -> TlsSettings:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key belong together")
        if self.client_ca is not None and self.certificate is None:
            raise ValueError("client_ca needs a certificate of the server")
        if self.clients and self.client_ca is None:
            raise ValueError("clients need a client_ca: nobody else vouches for their certificates")
        return self
