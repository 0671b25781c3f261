"""How providers differ in what they take, as data; and how a request is changed that one of them did not take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

DEFAULT_PROFILE = "openai"


@dataclass(frozen=True, slots=True)
class RequestShape:
    """What a provider wants in a request, or does not take.

    `echo_reasoning` gives the model its own reasoning back beside its tool calls; `usage_option` asks for token counts
    at the end of a stream; `json_schema` has an answer that is to be JSON follow its schema.
    """

    echo_reasoning: bool = False
    usage_option: bool = True
    temperature: bool = True
    token_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    json_schema: bool = True


PROFILES: Mapping[str, RequestShape] = {
    DEFAULT_PROFILE: RequestShape(),
    # Models that think before they answer take neither the old limit nor a temperature.
    "openai-reasoning": RequestShape(temperature=False, token_limit="max_completion_tokens"),
    "deepseek": RequestShape(echo_reasoning=True, json_schema=False),
    # Its chat templates place the reasoning where the model was taught to expect it.
    "llama.cpp": RequestShape(echo_reasoning=True),
    # Older servers refuse fields they do not know.
    "minimal": RequestShape(usage_option=False, json_schema=False),
}

# The word by which a provider's complaint names a field, and what to do about it. Providers change what they take from
# one week to the next, in both directions.
_REMEDIES: Mapping[str, Callable[[RequestShape], RequestShape]] = {
    "reasoning_content": lambda shape: replace(shape, echo_reasoning=not shape.echo_reasoning),
    "stream_options": lambda shape: replace(shape, usage_option=False),
    "response_format": lambda shape: replace(shape, json_schema=False),
    "json_schema": lambda shape: replace(shape, json_schema=False),
    "temperature": lambda shape: replace(shape, temperature=False),
    "max_completion_tokens": lambda shape: replace(
        shape, token_limit="max_tokens" if shape.token_limit != "max_tokens" else "max_completion_tokens"
    ),
    "max_tokens": lambda shape: replace(shape, token_limit="max_completion_tokens"),
}


def reshaped(shape: RequestShape, complaint: str) -> RequestShape | None:
    """The shape without what a refusal complains of; None if it names nothing that could be left out or turned round.

    `complaint` is the provider's text. It decides nothing else.
    """
    for field, remedy in _REMEDIES.items():
        if field in complaint:
            other = remedy(shape)
            return other if other != shape else None
    return None
