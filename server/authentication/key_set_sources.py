"""Where the key set of an issuer is read from: an address, or a file."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import httpx

from server.authentication.key_set import MAX_KEY_SET_BYTES, KeySetUnreadableError, ReadKeySet

_SECONDS = 5.0


def reader_of(place: str) -> ReadKeySet:
    """Reads what is at an `http(s)://` address, or in a file."""
    return partial(_fetch, place) if place.startswith(("https://", "http://")) else partial(_read, Path(place))


async def _fetch(address: str) -> bytes:
    """Follows no redirect and uses no proxy of the environment: the keys come from where the operator says."""
    try:
        async with (
            asyncio.timeout(_SECONDS),
            httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=_SECONDS) as client,
            client.stream("GET", address, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise KeySetUnreadableError(f"its address answered {response.status_code}")
            document = b""
            async for chunk in response.aiter_bytes():
                document += chunk
                if len(document) > MAX_KEY_SET_BYTES:
                    raise KeySetUnreadableError(f"it is larger than {MAX_KEY_SET_BYTES} bytes")
            return document
    except (httpx.HTTPError, TimeoutError) as error:
        raise KeySetUnreadableError(f"its address gave no answer: {type(error).__name__}") from None


async def _read(path: Path) -> bytes:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(MAX_KEY_SET_BYTES + 1)

    try:
        document = await asyncio.to_thread(read)
    except OSError as error:
        raise KeySetUnreadableError(f"its file cannot be read: {type(error).__name__}") from None
    if len(document) > MAX_KEY_SET_BYTES:
        raise KeySetUnreadableError(f"it is larger than {MAX_KEY_SET_BYTES} bytes")
    return document
