"""Keeps what a tool returns within the size a result may have, and within what a message can carry."""

from __future__ import annotations

import json
from collections.abc import Mapping

# The runtime takes 1 MiB a result; the margin is for the fields around the text.
RESULT_BYTES = 1_000_000

JsonObject = Mapping[str, object]


def decoded(data: bytes) -> str:
    """Bytes of unknown origin as text that any message can carry."""
    return carried(data.decode("utf-8", "replace"))


def carried(text: str) -> str:
    """The text without what no message can carry: NUL, and halves of surrogate pairs (from file names)."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def encoded_size(value: object) -> int:
    """Bytes of the value as JSON in UTF-8."""
    return len(as_json(value).encode())


def as_json(value: object) -> str:
    """The value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def without_middle(text: str, limit: int) -> str:
    """The text if its JSON has at most `limit` bytes, else its beginning and end with a note in between."""
    if encoded_size(text) <= limit:
        return text
    kept = min(len(text), limit) // 2
    while True:
        cut = f"{text[:kept]}\n[… {len(text) - 2 * kept} characters left out …]\n{text[len(text) - kept :]}"
        if encoded_size(cut) <= limit:
            return cut
        kept = kept * 3 // 4
