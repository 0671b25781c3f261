"""Reading a classifier's answer: tolerant of what stands around the JSON, strict about what is in it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

MAX_CHARACTERS = 32_000
MAX_REASON_LENGTH = 500

_MAX_ATTEMPTS = 32
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_decoder = json.JSONDecoder()


class Confidence(StrEnum):
    """How sure the classifier is."""

    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@dataclass(frozen=True, slots=True)
class Classification:
    """Which agent a request is for; `reason` has at most 500 characters and may be empty."""

    agent: str
    confidence: Confidence
    reason: str


def classification_schema(agents: Sequence[str]) -> dict[str, object]:
    """The JSON Schema of a classification for one of these agents.

    Says no more than every provider understands that can hold a model to a schema.
    """
    properties = {
        "agent": {"type": "string", "enum": list(agents)},
        "confidence": {"type": "string", "enum": [confidence.value.lower() for confidence in Confidence]},
        "reason": {"type": "string"},
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def parse_classification(text: str, agents: Collection[str]) -> Classification | None:
    """The last classification in an answer that names one of these agents, whatever the case of its letters.

    The last, because models that think aloud repeat the question before they answer it. None if there is no such JSON
    object within the first 32,000 characters and 32 opening braces. A confidence nobody knows is LOW.
    """
    by_folded = {agent.casefold(): agent for agent in agents}
    found = None
    for candidate in _objects_in(text[:MAX_CHARACTERS]):
        agent = candidate.get("agent")
        if isinstance(agent, str) and agent.strip().casefold() in by_folded:
            found = Classification(
                by_folded[agent.strip().casefold()],
                _confidence(candidate.get("confidence")),
                _reason(candidate.get("reason")),
            )
    return found


def _objects_in(text: str) -> Iterator[dict[str, object]]:
    """JSON objects in any text, in order; one that is inside another comes after it."""
    start = -1
    for _ in range(_MAX_ATTEMPTS):
        start = text.find("{", start + 1)
        if start < 0:
            return
        try:
            value, _end = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _confidence(value: object) -> Confidence:
    name = value.strip().upper() if isinstance(value, str) else ""
    return Confidence(name) if name in set(Confidence) else Confidence.LOW


def _reason(value: object) -> str:
    return _UNSTORABLE.sub("\ufffd", value.strip())[:MAX_REASON_LENGTH] if isinstance(value, str) else ""
