"""What the comments of the contract's .proto files say, field by field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PROTOS = Path(__file__).parents[2] / "protos" / "agent_runtime" / "v1"
_OPENS = re.compile(r"\s*(message|enum|service|oneof|rpc) (\w+).*")
_FIELD = re.compile(r"\s*(?:optional |repeated )?(?:map<.+>|[\w.]+) (\w+) = \d+;")


@cache
def comments() -> Mapping[str, str]:
    """The comment over each message (`Session`) and each of its fields (`Session.title`), on one line."""
    found: dict[str, str] = {}
    for file in sorted(_PROTOS.glob("*.proto")):
        message, comment = "", []
        for line in file.read_text(encoding="utf-8").splitlines():
            stripped = line.strip()
            if stripped.startswith("//"):
                comment.append(stripped.removeprefix("//").strip())
                continue
            opened, field = _OPENS.fullmatch(line), _FIELD.match(line)
            if opened and opened[1] in ("message", "service"):
                message = opened[2]
                found[message] = " ".join(comment)
            elif opened and opened[1] == "oneof":
                found[f"{message}.{opened[2]}"] = " ".join(comment)
            elif opened and opened[1] == "enum":
                message = opened[2]
            elif field:
                found[f"{message}.{field[1]}"] = " ".join(comment)
            comment = []
    return found
