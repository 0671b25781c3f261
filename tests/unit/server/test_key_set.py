"""The issuer's keys: what is taken from a key set, how often it is read, and for how long it counts."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.authentication.key_set import KeySet, KeySetUnreadableError, read_keys
from tests.support.clock import ManualClock
from tests.support.credentials import ec_key, key_set, public_jwk, rsa_key

RSA, EC = public_jwk(rsa_key("issuer"), "rsa"), public_jwk(ec_key("issuer"), "ec")
JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)


class Issuer:
    """Answers with a document, or not at all."""

    def __init__(self, *entries: dict[str, Any]) -> None:
        self.document: bytes | None = key_set(*entries)
        self.read_times = 0

    async def read(self) -> bytes:
        self.read_times += 1
        await asyncio.sleep(0)
        if self.document is None:
            raise KeySetUnreadableError("away")
        return self.document


def test_the_kind_of_a_key_decides_its_algorithm() -> None:
    keys = read_keys(key_set(RSA, EC))
    assert {kid: key.algorithm for kid, key in keys.items()} == {"rsa": "RS256", "ec": "ES256"}


NO_GOOD = {
    "for another algorithm": RSA | {"alg": "ES256"},
    "for a secret's algorithm": RSA | {"alg": "HS256"},
    "for no algorithm": RSA | {"alg": None},
    "for encryption": RSA | {"use": "enc"},
    "a secret": RSA | {"kty": "oct", "k": "c2VjcmV0"},
    "a private key": RSA | {"d": "AQAB"},
    "no number": RSA | {"n": "!"},
    "a list": RSA | {"n": ["a"]},
    "an id that is no text": RSA | {"kid": 7},
    "a curve for RSA": RSA | {"crv": ["P-256"]},
    "another curve": EC | {"crv": "P-384"},
    "an unknown curve": EC | {"crv": "secp256k1"},
    "no point of the curve": EC | {"x": EC["y"]},
    "too weak": public_jwk(rsa_key("weak", 1024), "weak"),
}


@pytest.mark.parametrize("entry", NO_GOOD.values(), ids=NO_GOOD)
def test_what_is_no_good_key_is_left_out(entry: dict[str, Any]) -> None:
    assert list(read_keys(key_set(EC | {"kid": "good"}, entry))) == ["good"]


def test_an_id_that_two_keys_have_means_neither() -> None:
    assert list(read_keys(key_set(RSA, EC | {"kid": "rsa"}, EC))) == ["ec"]


NO_KEY_SET = {
    "nothing": b"",
    "an object": b"{}",
    "a list": b"[]",
    "null": b"null",
    "a number of keys": b'{"keys": 1}',
    "no keys": key_set(),
    "a page": b"<html>",
    "depth": b"[" * 100_000,
    "too many keys": key_set(*[RSA] * 101),
}


@pytest.mark.parametrize("document", NO_KEY_SET.values(), ids=NO_KEY_SET)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(KeySetUnreadableError):
        read_keys(document)


@given(JSON)
def test_no_document_does_anything_else(document: Any) -> None:
    for whole in (document, {"keys": document}, {"keys": [RSA, document]}):
        with suppress(KeySetUnreadableError):
            assert set(read_keys(json.dumps(whole).encode())) <= {"rsa"}


async def test_a_known_key_costs_no_reading_and_unknown_ones_one_a_minute(clock: ManualClock) -> None:
    issuer = Issuer(RSA)
    keys = KeySet(issuer.read, clock)
    found = await asyncio.gather(*(keys.key(f"guess {n}") for n in range(100)), keys.key("rsa"))
    assert (found[:-1], found[-1] is not None, issuer.read_times) == ([None] * 100, True, 1)
    issuer.document = key_set(EC)
    assert await keys.key("ec") is None
    clock.advance(60)
    assert await keys.key("ec") is not None
    assert await keys.key("rsa") is None  # it was taken out
    assert issuer.read_times == 2


async def test_while_the_issuer_is_away_its_keys_count_for_a_day(clock: ManualClock) -> None:
    issuer = Issuer(RSA)
    keys = KeySet(issuer.read, clock)
    assert await keys.key("rsa") is not None
    for broken in (None, b"garbage", key_set()):
        issuer.document = broken
        clock.advance(7 * 3600)
        assert await keys.key("other") is None
        assert await keys.key("rsa") is not None
    clock.advance(3 * 3600 + 1)
    assert await keys.key("rsa") is None
    issuer.document = key_set(RSA)
    assert await keys.key("other") is None  # and with a good reading it is back
    assert await keys.key("rsa") is not None


async def test_it_is_read_as_soon_as_it_runs(clock: ManualClock) -> None:
    issuer = Issuer(RSA)
    keys = KeySet(issuer.read, clock)
    running = asyncio.create_task(keys.run())
    await asyncio.sleep(0)
    assert await keys.key("rsa") is not None
    running.cancel()
    assert issuer.read_times == 1
