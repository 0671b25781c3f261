"""How a mutating request is recognised when it comes again (G5)."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from services.application.ports import IdempotencyKey, Principal
from services.domain.input import InputContent

Field = str | int | bool | None | list["Field"] | dict[str, "Field"]


def key_for(principal: Principal, rpc: str, request_id: str, **command: Field) -> IdempotencyKey | None:
    """The key of a request, or None when the caller gave no request id.

    The fingerprint covers the command as the domain sees it, in canonical JSON, without the request id and without
    what only steers the stream; so the same wish in other words on the wire is the same request.
    """
    if not request_id:
        return None
    canonical = json.dumps(command, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return IdempotencyKey(principal.owner_id, rpc, request_id, hashlib.sha256(canonical.encode()).digest())


def fields_of(content: InputContent) -> dict[str, Field]:
    """An input as part of a command: its fields under the name of its kind."""
    fields: dict[str, Field] = {type(content).__name__: asdict(content)}
    return fields
