"""Encrypted connections to the real server: who may connect, whom a certificate proves, and files that change."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from agent_runtime.v1 import session_service_pb2, session_service_pb2_grpc
from devtools.runtime_process import RuntimeNotStartedError, RuntimeProcess
from tests.support.credentials import AUDIENCE, ISSUER, Authority, ec_key, key_set, public_jwk, token

KEY = "machine-" + "k3y" * 10
HOST = "127.0.0.1"
GATEWAY, WORKER = "spiffe://acme/gateway", "worker.acme.example"
CLIENTS = [
    {"subject": GATEWAY, "name": "gateway", "owner": "gateway", "gateway": True},
    {"subject": WORKER, "name": "worker", "owner": "worker"},
]


class Site:
    """A server's files and the authority that both ends believe."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.authority = Authority()
        self.install(*self.authority.issue(HOST))
        (directory / "ca.pem").write_bytes(self.authority.certificate)

    def install(self, certificate: bytes, key: bytes) -> None:
        """Puts the server's files in place, each at once, as careful operators do."""
        for name, content in (("server.key", key), ("server.pem", certificate)):
            draft = self.directory / f"{name}.new"
            draft.write_bytes(content)
            os.replace(draft, self.directory / name)

    def settings(self, **more: str) -> dict[str, str]:
        files = {"CERTIFICATE": "server.pem", "PRIVATE_KEY": "server.key"}
        return {
            "DEV": "false",
            "KEYS": json.dumps([{"key": KEY, "name": "machine", "owner": "machine"}]),
            **{f"TLS__{name}": str(self.directory / file) for name, file in files.items()},
            **more,
        }

    def mutual(self) -> dict[str, str]:
        return self.settings(TLS__CLIENT_CA=str(self.directory / "ca.pem"), TLS__CLIENTS=json.dumps(CLIENTS))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@asynccontextmanager
async def serving(site: Site, settings: dict[str, str]) -> AsyncIterator[RuntimeProcess]:
    async with RuntimeProcess(f"sqlite:///{site.directory}/runtime.db", "http://127.0.0.1:1/v1", settings) as process:
        yield process


async def create(
    server: RuntimeProcess,
    authority: Authority | None,
    *metadata: tuple[str, str],
    certificate: tuple[bytes, bytes] | None = None,
) -> str:
    """Creates a session over a connection of its own; returns its owner. Without an authority: in plaintext."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if authority is None:
        channel = grpc.aio.insecure_channel(server.address, options)
    else:
        chain, key = certificate or (None, None)
        credentials = grpc.ssl_channel_credentials(authority.certificate, key, chain)
        channel = grpc.aio.secure_channel(server.address, credentials, options)
    async with channel:
        stub = session_service_pb2_grpc.SessionServiceStub(channel)
        answer = await stub.CreateSession(
            session_service_pb2.CreateSessionRequest(agent="universal"), metadata=metadata, timeout=10
        )
        return answer.session.owner_id


def bearer(credential: str) -> tuple[str, str]:
    return ("authorization", f"Bearer {credential}")


async def code_of(*given: object, **more: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await create(*given, **more)  # type: ignore[arg-type]
    return caught.value.code()


async def test_only_who_speaks_tls_and_believes_the_authority_gets_in(site: Site) -> None:
    async with serving(site, site.settings()) as server:
        assert await create(server, site.authority, bearer(KEY)) == "machine"
        assert await code_of(server, None, bearer(KEY)) is grpc.StatusCode.UNAVAILABLE
        assert await code_of(server, Authority(), bearer(KEY)) is grpc.StatusCode.UNAVAILABLE


async def test_a_client_without_a_good_certificate_does_not_even_connect(site: Site) -> None:
    async with serving(site, site.mutual()) as server:
        for certificate in (None, Authority().issue(WORKER), site.authority.issue(WORKER, expired=True)):
            refused = await code_of(server, site.authority, bearer(KEY), certificate=certificate)
            assert refused is grpc.StatusCode.UNAVAILABLE


async def test_a_certificate_is_the_principal_of_its_name_unless_the_call_says_more(site: Site) -> None:
    async with serving(site, site.mutual()) as server:
        worker, gateway = site.authority.issue(WORKER), site.authority.issue(GATEWAY)
        assert await create(server, site.authority, certificate=worker) == "worker"
        assert await create(server, site.authority, certificate=gateway) == "gateway"
        assert await create(server, site.authority, ("x-owner-id", "ann"), certificate=gateway) == "ann"
        assert await create(server, site.authority, bearer(KEY), certificate=worker) == "machine"
        for metadata, certificate, code in (
            ((("x-owner-id", "ann"),), worker, grpc.StatusCode.PERMISSION_DENIED),
            ((bearer("wrong"),), worker, grpc.StatusCode.UNAUTHENTICATED),
            ((), site.authority.issue("stranger.example"), grpc.StatusCode.UNAUTHENTICATED),
            ((), site.authority.issue(WORKER, GATEWAY), grpc.StatusCode.UNAUTHENTICATED),
        ):
            assert await code_of(server, site.authority, *metadata, certificate=certificate) is code


async def test_new_connections_use_new_files_and_old_ones_stay(site: Site) -> None:
    async with serving(site, site.settings()) as server:
        credentials = grpc.ssl_channel_credentials(site.authority.certificate)
        async with grpc.aio.secure_channel(server.address, credentials) as old:
            stub = session_service_pb2_grpc.SessionServiceStub(old)
            request = session_service_pb2.CreateSessionRequest(agent="universal")
            await stub.CreateSession(request, metadata=[bearer(KEY)])
            renewed = Authority("next authority")
            site.install(*renewed.issue(HOST))
            assert await create(server, renewed, bearer(KEY)) == "machine"
            assert await code_of(server, site.authority, bearer(KEY)) is grpc.StatusCode.UNAVAILABLE
            await stub.CreateSession(request, metadata=[bearer(KEY)])
            site.install(b"garbage", b"garbage")
            assert await create(server, renewed, bearer(KEY)) == "machine"
            (site.directory / "server.pem").unlink()
            assert await create(server, renewed, bearer(KEY)) == "machine"
        assert "cannot be used, the old ones stay" in server.log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda site: site.install(b"garbage", site.authority.issue(HOST)[1]), "server.pem holds no certificate"),
        (lambda site: site.install(site.authority.issue(HOST)[0], b"x"), "server.key holds no unencrypted private key"),
        (lambda site: site.install(site.authority.issue(HOST)[0], site.authority.issue(HOST)[1]), "is not the key of"),
        (lambda site: (site.directory / "ca.pem").write_bytes(b"x"), "ca.pem holds no certificate"),
        (lambda site: (site.directory / "server.pem").unlink(), "server.pem cannot be read"),
    ],
)
async def test_files_that_cannot_be_used_are_one_line(site: Site, spoil: object, told: str) -> None:
    spoil(site)  # type: ignore[operator]
    with pytest.raises(RuntimeNotStartedError, match=told) as caught:
        async with serving(site, site.mutual()):
            pass
    assert "Traceback" not in str(caught.value)
    assert not (site.directory / "runtime.db").exists()  # it was noticed before anything was begun


async def test_tokens_are_taken_by_the_keys_of_their_issuer(site: Site) -> None:
    keys = site.directory / "keys.json"
    keys.write_bytes(key_set(public_jwk(ec_key("issuer"), "ec")))
    tokens = {"JWT__KEY_SET": str(keys), "JWT__ISSUER": ISSUER, "JWT__AUDIENCE": AUDIENCE}
    async with serving(site, site.settings(**tokens)) as server:
        assert await create(server, site.authority, bearer(token("ec", "ES256"))) == "alice"
        assert await create(server, site.authority, bearer(KEY)) == "machine"
        forged = bearer(token("ec", "ES256", ec_key("stranger")))
        assert await code_of(server, site.authority, forged) is grpc.StatusCode.UNAUTHENTICATED
        log = server.log.read_text(encoding="utf-8")
        assert forged[1].split(".")[1] not in log
        assert KEY not in log
