"""Checks arguments by JSON Schema (2020-12), with schemas that nobody has to trust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from services.domain.policies.arguments import canonical_json
from services.infrastructure.tools.bounded_validation import BoundedValidator, TooMuchWorkError
from services.infrastructure.tools.schema_flaws import SchemaFlawError, checked_schema, schema_text
from services.infrastructure.tools.violation_words import words_for

_KEPT_SCHEMAS = 128


class JsonSchemaValidator:
    """The `SchemaValidator`. Remembers the schemas it saw last, so that each is examined once."""

    def __init__(self) -> None:
        self._ready = lru_cache(maxsize=_KEPT_SCHEMAS)(_examined)

    def flaw_of(self, schema: Mapping[str, object]) -> str | None:
        try:
            return self._ready(schema_text(schema)).flaw
        except SchemaFlawError as flaw:
            return str(flaw)

    def violation(self, schema: Mapping[str, object], arguments: Mapping[str, object]) -> str | None:
        try:
            examined = self._ready(schema_text(schema))
        except SchemaFlawError as flaw:
            examined = _Examined(None, str(flaw))
        if examined.validator is None:
            return f"the tool cannot be called, its schema is flawed: {examined.flaw}"
        try:
            characters = len(canonical_json(arguments))
        except (TypeError, ValueError, RecursionError):
            return "the arguments are not JSON"
        try:
            error = examined.validator.first_error(arguments, characters)
        except (TooMuchWorkError, RecursionError):
            return "the arguments are too large or too deep to be checked by the tool's schema; send less at once"
        return None if error is None else words_for(error)


@dataclass(frozen=True, slots=True)
class _Examined:
    """A validator, or the reason why there is none."""

    validator: BoundedValidator | None
    flaw: str | None = None


def _examined(text: str) -> _Examined:
    try:
        return _Examined(BoundedValidator(checked_schema(text), len(text)))
    except SchemaFlawError as flaw:
        return _Examined(None, str(flaw))
