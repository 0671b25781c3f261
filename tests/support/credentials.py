"""An issuer of tokens and an authority for certificates, made anew for each test that needs them."""

from __future__ import annotations

import base64
import ipaddress
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ISSUER, AUDIENCE = "https://issuer.example", "agent-runtime"


@cache
def rsa_key(name: str, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same key for the same name: making one takes long."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, kid: str, **more: Any) -> dict[str, Any]:
    """The public half as an entry of a key set."""
    kind: Any = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    entry: dict[str, Any] = json.loads(kind.to_jwk(key.public_key()))
    return entry | {"kid": kid} | more


def key_set(*entries: Any) -> bytes:
    """The document an issuer publishes."""
    return json.dumps({"keys": entries}).encode()


def claims(**changed: Any) -> dict[str, Any]:
    """What a good token says; None leaves a claim out."""
    now = time.time()
    given = {"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "iat": now - 1, "exp": now + 600} | changed
    return {name: value for name, value in given.items() if value is not None}


def token(
    kid: str | None = "rsa",
    algorithm: str = "RS256",
    key: Any = None,
    headers: dict[str, Any] | None = None,
    **changed: Any,
) -> str:
    """A token of the issuer, good unless something is changed."""
    signing = key if key is not None else (rsa_key("issuer") if algorithm == "RS256" else ec_key("issuer"))
    header = {"alg": algorithm, "typ": "JWT"} | ({"kid": kid} if kid is not None else {}) | (headers or {})
    head, body, _ = unsigned(header, claims(**changed)).split(".")
    signature = jwt.get_algorithm_by_name(algorithm).sign(f"{head}.{body}".encode(), signing)
    return f"{head}.{body}.{_encoded(signature)}"


def unsigned(header: dict[str, Any], payload: dict[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand."""
    return ".".join(_encoded(part) for part in (json.dumps(header).encode(), json.dumps(payload).encode(), signature))


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@dataclass
class Authority:
    """Signs certificates that are good for an hour."""

    name: str = "test authority"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def certificate(self) -> bytes:
        """Its own, by which others believe it (PEM)."""
        return self._signed(self.name, self.key.public_key(), [], ca=True).public_bytes(Encoding.PEM)

    def issue(self, *names: str, expired: bool = False) -> tuple[bytes, bytes]:
        """A certificate for alternative names (`127.0.0.1`, `localhost`, `spiffe://…`) and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(names[0][:60], key.public_key(), [_general(name) for name in names], expired=expired)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return certificate.public_bytes(Encoding.PEM), private

    def _signed(
        self,
        subject: str,
        key: ec.EllipticCurvePublicKey,
        names: list[x509.GeneralName],
        *,
        ca: bool = False,
        expired: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(_named(subject))
            .issuer_name(_named(self.name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=2))
            .not_valid_after(now + timedelta(hours=-1 if expired else 1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
