"""Says to a model which argument is wrong and what would be right, without repeating what it sent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jsonschema import ValidationError

MAX_CHARACTERS = 300

_MAX_NAME = 40
_MAX_LISTED = 150
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def words_for(error: ValidationError) -> str:
    """At most 300 characters: the argument, and what it must be. No value from the arguments but names, cut short."""
    return _cut(_words(error), MAX_CHARACTERS)


def _words(error: ValidationError) -> str:
    where = _where(error)
    if error.validator == "required":
        name = next(name for name in _said(error) if name not in _value(error))
        return (
            f"{where} has no {_name(name)}, which is required" if error.absolute_path else f"{_name(name)} is missing"
        )
    if error.validator == "additionalProperties":
        known = _known_names(error.schema)
        return f"{where} is unknown; known are: {known}" if known else f"{where} is unknown; nothing is expected there"
    if error.validator in ("anyOf", "oneOf"):
        return _words_of_alternatives(error, where)
    # The library does not say what it was that the schema `false` was for, only what that is part of.
    say = _WORDS.get(str(error.validator))
    return f"{where} {say(error)}" if say is not None else f"{where} holds something that is not allowed"


def _words_of_alternatives(error: ValidationError, where: str) -> str:
    """What the alternatives that the value came closest to still miss."""
    tried = error.context or []
    if not tried:
        return f"{where} fits more than one of the allowed forms, which exclude each other"
    depth = max(len(each.absolute_path) for each in tried)
    # Alternatives nest no deeper than schemas do, so neither does this.
    found = dict.fromkeys(_words(each) for each in tried if len(each.absolute_path) == depth)
    return f"{where} fits none of the allowed forms: {'; or '.join(list(found)[:3])}"


def _known_names(schema: object) -> str:
    if not isinstance(schema, Mapping):
        return ""
    required = schema.get("required", ())
    return _listed(_name(name) + " (required)" * (name in required) for name in schema.get("properties", {}))


def _where(error: ValidationError) -> str:
    path = list(error.absolute_path)
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{_name(step)}"
    place = _cut(text.removeprefix("."), 100) or "the arguments object"
    return f"a name in {place}" if "propertyNames" in error.absolute_schema_path else place


def _name(name: object) -> str:
    text = str(name)
    return text if _PLAIN_NAME.fullmatch(text) and len(text) <= _MAX_NAME else json.dumps(_cut(text, _MAX_NAME))


def _listed(texts: Iterable[str]) -> str:
    return _cut(", ".join(texts), _MAX_LISTED)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _said(error: ValidationError) -> Any:
    """What the schema says."""
    return error.validator_value


def _value(error: ValidationError) -> Any:
    return error.instance


def _type(error: ValidationError) -> str:
    said, value = _said(error), _value(error)
    wanted = said if isinstance(said, str) else " or ".join(said)
    hint = "; leave an optional argument out instead" if value is None else ""
    return f"must be of type {wanted}, not {_type_name(value)}{hint}"


def _type_name(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def _too_short(error: ValidationError) -> str:
    return "must not be empty" if _said(error) == 1 else f"must have at least {_said(error)} characters"


def _needed(error: ValidationError) -> str:
    value = _value(error)
    for name, others in _said(error).items():
        for other in others:
            if name in value and other not in value:
                return f"needs {_name(other)} beside {_name(name)}"
    return "is not complete"


_WORDS: Mapping[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "enum": lambda error: f"must be one of {_listed(json.dumps(each, ensure_ascii=False) for each in _said(error))}",
    "const": lambda error: f"must be {_listed([json.dumps(_said(error), ensure_ascii=False)])}",
    "pattern": lambda error: f"must match the pattern {_cut(str(_said(error)), _MAX_LISTED)}",
    "minLength": _too_short,
    "maxLength": lambda error: f"has {len(_value(error))} characters; at most {_said(error)} are allowed",
    "minimum": lambda error: f"must be at least {_number(error)}",
    "maximum": lambda error: f"must be at most {_number(error)}",
    "exclusiveMinimum": lambda error: f"must be above {_number(error)}",
    "exclusiveMaximum": lambda error: f"must be below {_number(error)}",
    "multipleOf": lambda error: f"must be a multiple of {_number(error)}",
    "minItems": lambda error: f"has {len(_value(error))} items; at least {_said(error)} are needed",
    "maxItems": lambda error: f"has {len(_value(error))} items; at most {_said(error)} are allowed",
    "items": lambda error: "has more items than are allowed",
    "uniqueItems": lambda error: "must not hold the same item twice",
    "contains": lambda error: "holds no item of the kind that is needed",
    "minContains": lambda error: f"must hold at least {_said(error)} items of the kind that is needed",
    "maxContains": lambda error: f"must hold at most {_said(error)} items of a kind that is limited",
    "minProperties": lambda error: f"has {len(_value(error))} members; at least {_said(error)} are needed",
    "maxProperties": lambda error: f"has {len(_value(error))} members; at most {_said(error)} are allowed",
    "dependentRequired": _needed,
    "not": lambda error: "has a form that is not allowed",
}


def _number(error: ValidationError) -> str:
    return _cut(str(_said(error)), _MAX_NAME)
