"""JSON Schema with a bound on the work: the library's keywords, each counted, the costly ones written anew.

A schema may be small and a value may be small, and together they can still be hours of work. So every keyword that is
applied costs steps of a budget, more if it looks at more, and a check whose budget is spent is broken off. A step is
some microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from services.infrastructure.tools.linear_patterns import Pattern
from services.infrastructure.tools.schema_flaws import CheckedSchema

MAX_STEPS = 100_000

_CHARACTERS_PER_STEP = 1024  # of a text that is copied or measured
_STATES_PER_STEP = 1024  # of a pattern, for each character
# These look at every member of the value, those at every member of what the schema says.
_OVER_THE_VALUE = frozenset({"additionalProperties", "contains", "items", "prefixItems", "propertyNames"})
_OVER_LITERALS = frozenset({"const", "dependentRequired", "enum"})

_Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


class TooMuchWorkError(Exception):
    """Whether the value fits was not found out within the budget."""


@dataclass(slots=True)
class _Work:
    """What one check may still do."""

    steps: int
    steps_per_error: int
    patterns: Mapping[str, Pattern]

    def spend(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise TooMuchWorkError

    def finds(self, pattern: str, text: str) -> bool:
        compiled = self.patterns[pattern]
        self.spend(1 + len(text) * compiled.programsize // _STATES_PER_STEP)
        return compiled.search(text) is not None


# The library hands no argument of ours down to the keywords; a check stays in one thread and in one context.
_work: ContextVar[_Work] = ContextVar("_work")


class BoundedValidator:
    """One schema, ready to check values. Immutable; callable from any thread."""

    def __init__(self, checked: CheckedSchema, schema_characters: int) -> None:
        self._patterns = checked.patterns
        self._schema_characters = schema_characters
        # An empty registry: without it the library would fetch what a reference names.
        self._validator: Validator = _Bounded(checked.schema, registry=Registry())

    def first_error(self, value: Any, characters: int, *, max_steps: int = MAX_STEPS) -> ValidationError | None:
        """The first way in which the value, a JSON text of so many characters, does not fit; None if it fits.

        Raises TooMuchWorkError, and RecursionError where value and schema together are too deep.
        """
        # The library writes the value, or the schema, into the message of every error.
        per_error = 1 + (characters + self._schema_characters) // _CHARACTERS_PER_STEP
        token = _work.set(_Work(max_steps, per_error, self._patterns))
        try:
            return next(self._validator.iter_errors(value), None)
        finally:
            _work.reset(token)


def _counted(name: str, keyword: _Keyword) -> _Keyword:
    """The keyword, paying for itself and for the errors it makes."""

    def run(validator: Any, said: Any, value: Any, schema: Any) -> Iterator[ValidationError]:
        work = _work.get()
        work.spend(1 + (_nodes(said) if name in _OVER_LITERALS else _members(said)))
        if name in _OVER_THE_VALUE:
            work.spend(_members(value))
        for error in keyword(validator, said, value, schema) or ():
            if not error.schema_path:  # made here, not handed up
                work.spend(work.steps_per_error)
            yield error

    return run


def _pattern(validator: Any, pattern: str, value: object, schema: object) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _work.get().finds(pattern, value):
        yield ValidationError("no match")


def _pattern_properties(
    validator: Any, patterns: Mapping[str, object], value: object, schema: object
) -> Iterator[ValidationError]:
    if isinstance(value, dict):
        for pattern, inner in patterns.items():
            for name in value:
                if _work.get().finds(pattern, name):
                    yield from validator.descend(value[name], inner, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any, allowed: object, value: object, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(value, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name in value:
        if name in known or any(_work.get().finds(pattern, name) for pattern in patterns):
            continue
        if allowed is False:
            yield ValidationError("unknown", path=(name,))
        else:
            yield from validator.descend(value[name], allowed, path=name)


def _unique_items(validator: Any, wanted: bool, value: object, schema: object) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list):
        _work.get().spend(_nodes(value))
        if len({_identity(item) for item in value}) < len(value):
            yield ValidationError("not unique")


def _multiple_of(validator: Any, step: float, value: Any, schema: object) -> Iterator[ValidationError]:
    """By the decimal digits: 0.07 is a multiple of 0.01, and no number is too large."""
    if validator.is_type(value, "number"):
        digits = str(value)
        _work.get().spend(len(digits))
        if Fraction(digits) % Fraction(str(step)):
            yield ValidationError("no multiple")


def _members(value: object) -> int:
    return len(value) if isinstance(value, list | dict) else 0


def _nodes(value: object) -> int:
    """How many values there are in a value, itself included."""
    count, ahead = 0, [value]
    while ahead:
        count += 1
        item = ahead.pop()
        if isinstance(item, dict):
            ahead.extend(item.values())
        elif isinstance(item, list):
            ahead.extend(item)
    return count


def _identity(value: object) -> object:
    """Equal for equal JSON values and no others; `1` is `1.0` and not `true`."""
    if isinstance(value, dict):
        return frozenset((name, _identity(item)) for name, item in value.items())
    if isinstance(value, list):
        return tuple(_identity(item) for item in value)
    return (bool, value) if isinstance(value, bool) else value


_OURS: Mapping[str, _Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    "multipleOf": _multiple_of,
}
_Bounded: Callable[..., Validator] = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {name: _counted(name, _OURS.get(name, keyword)) for name, keyword in Draft202012Validator.VALIDATORS.items()},
)
