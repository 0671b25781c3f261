"""How a mutating request is recognised when it comes again (G5)."""

from __future__ import annotations

import hashlib
import json

from services.application.ports import IdempotencyKey, Principal

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
