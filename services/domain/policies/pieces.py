"""Cutting long text for events of bounded size."""

from __future__ import annotations


def pieces_of(text: str, max_bytes: int) -> list[str]:
    """The text in order, in pieces of at most `max_bytes` bytes of UTF-8 (at least 4), never within a character."""
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return [text]
    pieces = []
    start = 0
    while start < len(encoded):
        end = min(start + max_bytes, len(encoded))
        while end < len(encoded) and encoded[end] & 0xC0 == 0x80:  # a byte that continues a character
            end -= 1
        pieces.append(encoded[start:end].decode())
        start = end
    return pieces
