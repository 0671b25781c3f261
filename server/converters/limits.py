"""How much a request may hold: the one table, with the numbers that the contract's comments state."""

from __future__ import annotations

import re

from services.domain.policies.titles import MAX_TITLE_LENGTH

USER_MESSAGE_BYTES = 256 * 1024
# Of a message that waits, in a snapshot.
PENDING_INPUT_IN_SNAPSHOT_BYTES = 4 * 1024
TITLE_CHARACTERS = MAX_TITLE_LENGTH
DESCRIPTION_CHARACTERS = 2_000
REASON_CHARACTERS = 500
AGENT_NAME_CHARACTERS = 64
# Ids that the runtime or a model made and a client gives back.
ID_CHARACTERS = 128

TOOL_RESULTS = 32
JSON_DEPTH = 64
EDITED_ARGUMENTS_BYTES = 1024 * 1024
FEEDBACK_CHARACTERS = 4_000
RULE_DESCRIPTION_CHARACTERS = 500

CLIENT_TOOLS = 64
# Of names, descriptions and schemas together.
CLIENT_TOOLS_BYTES = 256 * 1024
TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
TOOL_NAME_RULE = "must match ^[A-Za-z0-9_-]{1,64}$"
# A name and a star.
TOOL_PATTERN_CHARACTERS = 65
TOOL_DESCRIPTION_CHARACTERS = 4_000
TOOL_PARAMETERS_BYTES = 64 * 1024

MAX_LABELS = 64
LABEL_KEY = re.compile(r"[A-Za-z0-9._/-]{1,63}")
LABEL_KEY_RULE = "keys must match ^[A-Za-z0-9._/-]{1,63}$"
LABEL_VALUE_CHARACTERS = 256

# Messages that a session may be told to hold.
MAX_MESSAGE_LIMIT = 10_000

# About 10,000 years: what a duration may say.
MAX_DURATION_SECONDS = 315_576_000_000

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 500
PAGE_TOKEN_CHARACTERS = 2 * 1024
PAGE_TOKEN_SECONDS = 24 * 60 * 60
