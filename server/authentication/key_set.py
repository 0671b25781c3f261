"""The public keys of whoever issues tokens: read strictly, kept while the issuer is away, and not for ever."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.application.ports import Clock

logger = logging.getLogger(__name__)

MAX_KEY_SET_BYTES = 256 << 10
_MAX_KEYS = 100
_MIN_RSA_BITS = 2048
_ROUND = 300.0  # seconds between two readings
_SOONEST = 60.0  # and at least between two of which the second is for a key that is not known
_LONGEST = 24 * 3600.0  # for so long the last good reading counts

_ALGORITHMS = {("RSA", ""): "RS256", ("EC", "P-256"): "ES256"}

ReadKeySet = Callable[[], Awaitable[bytes]]
"""Returns the document, at most `MAX_KEY_SET_BYTES` of it. Raises KeySetUnreadableError."""


class KeySetUnreadableError(Exception):
    """The key set could not be read, or is none; the message is for operators and repeats nothing of it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key and the one algorithm it is for: a token has no say in that."""

    algorithm: str
    key: RSAPublicKey | EllipticCurvePublicKey


class KeySet:
    """The keys by id. `run` must be running; `key` may be called by any number of tasks of one event loop."""

    def __init__(self, read: ReadKeySet, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._keys: Mapping[str, SigningKey] = {}
        self._good_at = self._tried_at = float("-inf")
        self._reading = asyncio.Lock()

    async def run(self) -> None:
        """Reads the set again and again, for ever."""
        while True:
            async with self._reading:
                await self._refresh()
            await asyncio.sleep(_ROUND if self._good_at == self._tried_at else _SOONEST)

    async def key(self, key_id: str) -> SigningKey | None:
        """The key; None for one that is not in the set, as far as that is known.

        The set is read again for an unknown key, not more often than once a minute however many are asked for.
        """
        if key_id not in self._keys:
            async with self._reading:
                if key_id not in self._keys and self._clock.monotonic() - self._tried_at >= _SOONEST:
                    await self._refresh()
        if self._clock.monotonic() - self._good_at > _LONGEST:
            return None
        return self._keys.get(key_id)

    async def _refresh(self) -> None:
        self._tried_at = self._clock.monotonic()
        try:
            self._keys = read_keys(await self._read())
            self._good_at = self._tried_at
        except KeySetUnreadableError as error:
            logger.warning("the keys of tokens could not be read, will try again: %s", error)


def read_keys(document: bytes) -> dict[str, SigningKey]:
    """The usable keys of a JWKS document by their ids. Raises KeySetUnreadableError for what is none.

    Left out: keys without an id or with one that is there twice, for other uses or algorithms, too weak, and private
    ones.
    """
    try:
        entries = json.loads(document)["keys"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise KeySetUnreadableError("it is no key set") from None
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise KeySetUnreadableError(f"it is no list of at most {_MAX_KEYS} keys")
    named = [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("kid"), str)]
    times = Counter(entry["kid"] for entry in named)
    keys = {entry["kid"]: key for entry in named if times[entry["kid"]] == 1 and (key := _key(entry)) is not None}
    if not keys:
        raise KeySetUnreadableError("it holds no usable key")
    return keys


def _key(entry: dict[str, Any]) -> SigningKey | None:
    algorithm = _ALGORITHMS.get((str(entry.get("kty")), str(entry.get("crv", ""))))
    for_us = entry.get("alg", algorithm) == algorithm and entry.get("use", "sig") == "sig"
    if algorithm is None or not for_us or "d" in entry:
        return None
    try:
        key = jwt.PyJWK(entry, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey):
        return None
    return SigningKey(algorithm, key) if not isinstance(key, RSAPublicKey) or key.key_size >= _MIN_RSA_BITS else None
