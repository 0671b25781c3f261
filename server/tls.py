"""The server's end of TLS, with files that may be exchanged while it runs."""

from __future__ import annotations

import logging
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from server.identity_settings import TlsSettings
from server.startup_error import StartupError

logger = logging.getLogger(__name__)

_Files = tuple[bytes, bytes, bytes | None]


class _UnusableFileError(Exception):
    """A file that cannot be read or is not what it should be; the message names it."""


def server_credentials(settings: TlsSettings) -> grpc.ServerCredentials | None:
    """What to listen with; None means plaintext. Raises StartupError for files that cannot be used.

    New connections look whether the files have changed; files that cannot be used leave the old ones in place.
    """
    if settings.certificate is None or settings.private_key is None:
        return None
    certificate, private_key, client_ca = settings.certificate, settings.private_key, settings.client_ca
    paths = [path for path in (certificate, private_key, client_ca) if path is not None]

    def read() -> _Files:
        return _read(certificate, private_key, client_ca)

    seen = _stamps(paths)
    try:
        initial = read()
    except _UnusableFileError as error:
        raise StartupError(str(error)) from None

    def changed() -> grpc.ServerCertificateConfiguration | None:
        # Called for each new connection, on one of gRPC's threads.
        nonlocal seen
        now = _stamps(paths)
        if now == seen:
            return None
        seen = now
        try:
            configuration = _configuration(read())
        except _UnusableFileError as error:
            logger.error("the TLS files have changed and cannot be used, the old ones stay: %s", error)
            return None
        logger.info("the TLS files have changed, new connections use them")
        return configuration

    return grpc.dynamic_ssl_server_credentials(
        _configuration(initial),
        changed,  # type: ignore[arg-type]  # gRPC's types forget that None means unchanged
        require_client_authentication=client_ca is not None,
    )


def _configuration(files: _Files) -> grpc.ServerCertificateConfiguration:
    certificate, private_key, client_ca = files
    return grpc.ssl_server_certificate_configuration([(private_key, certificate)], root_certificates=client_ca)


def _read(certificate: Path, private_key: Path, client_ca: Path | None) -> _Files:
    """The files, whole and fitting: a certificate is often exchanged a moment before its key."""
    chain, key = _bytes(certificate), _bytes(private_key)
    try:
        public_key = x509.load_pem_x509_certificates(chain)[0].public_key()
    except ValueError:
        raise _UnusableFileError(f"{certificate} holds no certificate") from None
    try:
        of_key = load_pem_private_key(key, password=None).public_key()
    except (ValueError, TypeError):
        raise _UnusableFileError(f"{private_key} holds no unencrypted private key") from None
    if public_key != of_key:
        raise _UnusableFileError(f"{private_key} is not the key of {certificate}")
    if client_ca is None:
        return chain, key, None
    authorities = _bytes(client_ca)
    try:
        x509.load_pem_x509_certificates(authorities)
    except ValueError:
        raise _UnusableFileError(f"{client_ca} holds no certificate") from None
    return chain, key, authorities


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _UnusableFileError(f"{path} cannot be read: {error.strerror}") from None


def _stamps(paths: list[Path]) -> list[tuple[int, int] | None]:
    """What changes when a file does; None for one that is gone for the moment."""
    stamps: list[tuple[int, int] | None] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((status.st_mtime_ns, status.st_ino))
    return stamps
