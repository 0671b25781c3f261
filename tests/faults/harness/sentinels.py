"""Texts that must not turn up where they do not belong, and the search for them in everything a server lets out."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from urllib.parse import quote

SECRETS = (
    *("service key", "second service key", "key of a stranger", "key in a wrong header", "key with a newline"),
    *("token", "token of a stranger", "token signed wrongly", "private key of tls"),
    *("password of the database", "password of redis", "key of the model", "key of a fallback", "key of another"),
)
"""What nobody may ever read: neither a caller, nor whoever reads the log or the database."""
BODIES = (
    *("prompt", "second prompt", "prompt that waits", "prompt that is withdrawn", "prompt refused", "prompt lost"),
    *("answer", "answer broken off", "reasoning", "question", "chosen words", "echo of the provider"),
    *("argument of a tool", "content to write", "edited content", "command", "arguments that are no json"),
    *("result", "result as json", "result of an error", "result nobody asked for", "result of a file"),
    *("feedback", "title", "second title", "reason to deactivate", "rule", "value of a rule", "garbage"),
)
"""What people and models say: in the log only where an operator turns on DEBUG, never in an error."""


class Sentinels:
    """One text for each name, and where which of them was seen though it should not be."""

    def __init__(self, seed: int) -> None:
        choice = random.Random(seed)
        self._texts = {name: f"sentinel{n:02d}{choice.randbytes(12).hex()}" for n, name in enumerate(SECRETS + BODIES)}
        self.hits: list[str] = []

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def __len__(self) -> int:
        return len(self._texts)

    def replace(self, name: str, text: str) -> None:
        """For a secret that others make, such as a token."""
        self._texts[name] = text

    def search(self, where: str, said: str, names: tuple[str, ...]) -> None:
        """Notes every one of these that is in what was said, as it is or in a usual disguise."""
        for name in names:
            if any(form in said for form in _forms(self._texts[name])):
                self.hits.append(f"{name} in {where}")


def _forms(text: str) -> set[str]:
    return {text, json.dumps(text)[1:-1], quote(text, safe=""), base64.b64encode(text.encode()).decode().rstrip("=")}


def check_log(text: str) -> tuple[list[Mapping[str, object]], list[str], int]:
    """The lines of a log, what is wrong with any, and how many control bytes it holds that could move a cursor."""
    lines: list[Mapping[str, object]] = []
    complaints: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        if line.startswith("agent-runtime: serving on "):  # said to people, once, on standard output
            continue
        try:
            lines.append(dict(json.loads(line)))
        except ValueError:
            complaints.append(f"a line of the log is no JSON object: {line[:200]!r}")
    controls = sum(ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0 for letter in text.replace("\n", ""))
    return lines, complaints, controls
