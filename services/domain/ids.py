"""Identifiers: how they look, how they are made, and how unguessable they are."""

from __future__ import annotations

import re
import secrets

_SESSION_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")

SESSION_ID_RULE = "must match ^[A-Za-z0-9_-]{1,64}$"
REQUEST_ID_RULE = "must match ^[A-Za-z0-9._:-]{1,128}$"


def new_id(prefix: str) -> str:
    """A fresh id such as `turn_5f…`, with 128 random bits after the prefix."""
    return f"{prefix}_{secrets.token_hex(16)}"


def is_session_id(text: str) -> bool:
    """Whether a client may use this text as a session id."""
    return _SESSION_ID.fullmatch(text) is not None


def is_request_id(text: str) -> bool:
    """Whether a client may use this text as an idempotency key."""
    return _REQUEST_ID.fullmatch(text) is not None
