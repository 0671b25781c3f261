"""How much a request may hold: the one table, with the numbers that the contract's comments state."""

from __future__ import annotations

import re

from services.domain.policies.titles import MAX_TITLE_LENGTH

USER_MESSAGE_BYTES = 256 * 1024
TITLE_CHARACTERS = MAX_TITLE_LENGTH
DESCRIPTION_CHARACTERS = 2_000
REASON_CHARACTERS = 500
AGENT_NAME_CHARACTERS = 64
# Ids that the runtime made and a client gives back.
ID_CHARACTERS = 128

MAX_LABELS = 64
LABEL_KEY = re.compile(r"[A-Za-z0-9._/-]{1,63}")
LABEL_KEY_RULE = "keys must match ^[A-Za-z0-9._/-]{1,63}$"
LABEL_VALUE_CHARACTERS = 256

# Messages that a session may be told to hold.
MAX_MESSAGE_LIMIT = 10_000

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
PAGE_TOKEN_CHARACTERS = 2 * 1024
PAGE_TOKEN_SECONDS = 24 * 60 * 60
