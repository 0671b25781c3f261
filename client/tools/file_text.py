"""Tells text from everything else, so that no model is shown the bytes of a picture."""

from __future__ import annotations

from client.tools.failure import ToolFailedError

_LOOKED_AT = 8192


def is_binary(data: bytes, encoding: str = "utf-8") -> bool:
    """Whether the data is no text of this encoding, by its beginning."""
    return b"\0" in data[:_LOOKED_AT] and not encoding.startswith(("utf-16", "utf-32"))


def text_of(data: bytes, encoding: str, path: str) -> str:
    """The data as text; raises ToolFailedError if it is none."""
    if is_binary(data, encoding):
        raise ToolFailedError(f"{path} is a binary file of {len(data)} bytes")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ToolFailedError(f"{path} is not {encoding} text; latin-1 reads any bytes") from None
