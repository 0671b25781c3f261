"""How many tokens a text will probably be for a model: a guess that is rather too high than too low.

By characters: three of ASCII make a token (English prose has some four, code rather three), and every byte of UTF-8
beyond one a character adds a third of one, so that a Russian letter counts two thirds of a token and a Chinese one a
whole. Whoever has the provider's own counts corrects the guess by their proportion.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from services.domain.message import Message
from services.domain.model_exchange import ToolSpec

_BYTES_PER_TOKEN = 3
_PER_MESSAGE = 4  # role and separators
_PER_CALL = 8  # id, name and their frame


def text_tokens(text: str) -> int:
    """The tokens of a text; 0 only for an empty one."""
    return -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)


def message_tokens(message: Message) -> int:
    """The tokens of a message with its calls, as a provider reads it; reasoning is not sent."""
    calls = sum(_PER_CALL + text_tokens(call.name) + text_tokens(call.arguments_json) for call in message.tool_calls)
    return _PER_MESSAGE + text_tokens(message.content) + text_tokens(message.name or "") + calls


def frame_tokens(system_prompt: str, tools: Sequence[ToolSpec]) -> int:
    """The tokens of everything in a request but its messages."""
    described = (f"{tool.name} {tool.description} {json.dumps(dict(tool.parameters))}" for tool in tools)
    return _PER_MESSAGE + text_tokens(system_prompt) + sum(_PER_CALL + text_tokens(text) for text in described)
