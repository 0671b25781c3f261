"""A token is its owner only if the issuer's own key says so, for us, and now."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from server.authentication.key_set import KeySet
from server.authentication.selection import authentication_mode, authenticator_for
from server.authentication.tokens import TokenAuthenticator
from server.config import Settings
from server.identity_settings import ServiceKey, TokenSettings
from services.application.ports import Principal, Role
from services.domain.errors import GatewayKeyRequiredError, UnauthenticatedError
from tests.support.clock import ManualClock
from tests.support.credentials import AUDIENCE, ISSUER, claims, ec_key, key_set, public_jwk, rsa_key, token, unsigned

SETTINGS = TokenSettings(key_set="keys.json", issuer=ISSUER, audience=AUDIENCE)
OPERATOR = frozenset({Role.USER, Role.OPERATOR})
ALICE = Principal("alice", "alice")
PUBLIC_PEM = rsa_key("issuer").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
NOW = time.time()


async def _document() -> bytes:
    return key_set(public_jwk(rsa_key("issuer"), "rsa"), public_jwk(ec_key("issuer"), "ec"))


def the_keys() -> KeySet:
    return KeySet(_document, ManualClock())


async def principal_of(credential: str, *more: tuple[str, str], **settings: Any) -> Principal:
    authenticator = TokenAuthenticator(SETTINGS.model_copy(update=settings), the_keys())
    return await authenticator.authenticate([("authorization", f"Bearer {credential}"), *more])


async def test_a_good_token_is_its_owner() -> None:
    assert await principal_of(token()) == ALICE
    assert await principal_of(token("ec", "ES256")) == ALICE
    assert await principal_of(token(aud=["other", AUDIENCE])) == ALICE


async def test_owner_and_roles_come_from_the_claims_that_are_configured() -> None:
    assert await principal_of(token(email="a@b.c"), owner_claim="email") == Principal("a@b.c", "a@b.c")
    for listed in (["x", "agent-runtime-operator"], "x agent-runtime-operator"):
        assert (await principal_of(token(roles=listed))).roles == OPERATOR
    for other in ("agent-runtime-operators", ["operator"], {"agent-runtime-operator": 1}, 1, None):
        assert (await principal_of(token(roles=other))).roles == {Role.USER}
    assert (await principal_of(token(scope="admin"), roles_claim="scope", operator_role="admin")).roles == OPERATOR


FORGED = {
    "no signature": unsigned({"alg": "none", "kid": "rsa"}, claims()),
    "no signature, capital": unsigned({"alg": "None", "kid": "rsa"}, claims()),
    "an empty signature": unsigned({"alg": "RS256", "kid": "rsa"}, claims()),
    "any signature": unsigned({"alg": "RS256", "kid": "rsa"}, claims(), b"x" * 256),
    "the public key as a secret": token(algorithm="HS256", key=PUBLIC_PEM.replace(b"-----", b"")),
    "a list of algorithms": unsigned({"alg": ["RS256"], "kid": "rsa"}, claims()),
    "no algorithm": unsigned({"kid": "rsa"}, claims()),
    "a guessed secret": jwt.encode(claims(), "s" * 32, algorithm="HS256", headers={"kid": "rsa"}),
    "RSA under the id of the other": token("ec", "RS256"),
    "EC under the id of the other": token("rsa", "ES256"),
    "a stranger's RSA key": token(key=rsa_key("stranger")),
    "a stranger's EC key": token("ec", "ES256", ec_key("stranger")),
    "an unknown key": token("unknown"),
    "no key id": token(None),
    "a key id that is no text": unsigned({"alg": "RS256", "kid": 7}, claims()),
    "a path as key id": token("../../rsa"),
    "SQL as key id": token("rsa' OR 1=1"),
    "a long key id": token("x" * 4096),
    "an address for the key": token("https://evil.example", headers={"jku": "https://evil.example/keys"}),
    "a key of its own": token(
        "unknown", key=rsa_key("stranger"), headers={"jwk": public_jwk(rsa_key("stranger"), "unknown")}
    ),
    "a critical extension": token(headers={"crit": ["exp"]}),
    "expired": token(exp=NOW - 60),
    "for ever": token(exp=None),
    "expiry as a word": token(exp="never"),
    "expiry beyond all numbers": token(exp=float("inf")),
    "not yet": token(nbf=NOW + 86400),
    "from the future": token(iat=NOW + 86400),
    "for somebody else": token(aud="other"),
    "for nobody": token(aud=None),
    "of another issuer": token(iss="https://evil.example"),
    "of no issuer": token(iss=None),
    "without owner": token(sub=None),
    "an empty owner": token(sub=""),
    "an owner with a blank": token(sub="not an owner"),
    "a long owner": token(sub="x" * 129),
    "an owner with a newline": token(sub="alice\n"),
    "an owner that is a number": token(sub=7),
    "large": token(padding="x" * 10_000),
    "three empty parts": "eyJ..",
    "two parts": "eyJhbGciOiJSUzI1NiJ9.e30",
    "NUL": "\x00.\x00.\x00",
    "nothing": "",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
async def test_anything_else_is_nobody_in_the_same_words(forged: str) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        await principal_of(forged)
    assert str(caught.value) == "a valid credential is required"


async def test_clocks_may_differ_a_little() -> None:
    now = time.time()
    assert await principal_of(token(exp=now - 5, nbf=now + 5)) == ALICE


async def test_a_token_speaks_for_nobody_else() -> None:
    with pytest.raises(GatewayKeyRequiredError):
        await principal_of(token(), ("x-owner-id", "bob"))


@given(st.text(max_size=200) | st.builds("{}.{}.{}".format, st.text(), st.text(), st.text()))
def test_no_text_does_anything_but_be_refused(credential: str) -> None:
    with pytest.raises(UnauthenticatedError):
        asyncio.run(principal_of(credential))


@given(st.integers(0, 10_000), st.integers(1, 127))
def test_no_changed_character_is_missed(place: int, change: int) -> None:
    good = token()
    place %= len(good)
    forged = good[:place] + chr((ord(good[place]) + change) % 128) + good[place + 1 :]
    try:
        accepted = asyncio.run(principal_of(forged))
    except UnauthenticatedError:
        return
    # Another spelling of the very same bytes: the last character of the signature has bits that mean nothing.
    assert accepted == ALICE
    assert place + 1 == len(good)


async def test_keys_and_tokens_are_valid_side_by_side() -> None:
    key = "batch-" + "k3y" * 10
    batch = ServiceKey.model_validate({"key": key, "name": "batch", "owner": "batch"})
    settings = Settings(jwt=SETTINGS, keys=(batch,))
    authenticator = authenticator_for(settings, the_keys())
    assert (await authenticator.authenticate([("authorization", f"Bearer {key}")])).name == "batch"
    assert await authenticator.authenticate([("authorization", f"Bearer {token()}")]) == ALICE
    for credential in (token(key=rsa_key("stranger")), key[:-1]):
        with pytest.raises(UnauthenticatedError):
            await authenticator.authenticate([("authorization", f"Bearer {credential}")])
    assert authentication_mode(settings) == "1 static key, tokens"
