"""What a schema of arguments may hold: everything a tool needs, nothing that could fetch, hang or mislead.

Schemas come from strangers. So every keyword with a meaning is checked here, references stay inside the document and
lead to schemas, and nothing is applied to the same value without end. Unknown keywords are remarks, as JSON Schema has
it; nothing can refer into them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from services.domain.policies.arguments import canonical_json
from services.infrastructure.tools.linear_patterns import Pattern, compile_pattern

MAX_SCHEMA_BYTES = 64 << 10
MAX_DEPTH = 32
MAX_CHAIN = 32
MAX_PATTERNS = 16

_Place = tuple[str, ...]

_TYPES = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
_SCHEMA_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED_SCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas", "patternProperties", "properties"})
_SCHEMAS = frozenset(
    {"additionalProperties", "contains", "contentSchema", "else", "if", "items", "not", "propertyNames", "then"}
)
_REFUSED = frozenset(
    {"$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveAnchor", "$recursiveRef", "$schema", "$vocabulary"}
    # Finding out what was evaluated means evaluating it all again, at every level.
    | {"unevaluatedItems", "unevaluatedProperties"}
)


class SchemaFlawError(ValueError):
    """The schema cannot be used; the message says why, in words for its author."""


@dataclass(frozen=True, slots=True)
class CheckedSchema:
    """A schema without flaws: a copy that nobody else holds, with its patterns compiled."""

    schema: Mapping[str, object]
    patterns: Mapping[str, Pattern]


def schema_text(schema: Mapping[str, object]) -> str:
    """The one text of a schema. Raises SchemaFlawError for what is not JSON, or larger than a schema may be."""
    try:
        text = canonical_json(dict(schema))
    except (TypeError, ValueError, RecursionError):
        raise SchemaFlawError("the schema is not JSON") from None
    if len(text.encode()) > MAX_SCHEMA_BYTES:
        raise SchemaFlawError(f"the schema is longer than {MAX_SCHEMA_BYTES} bytes")
    return text


def checked_schema(text: str) -> CheckedSchema:
    """The schema in a text of `schema_text`. Raises SchemaFlawError; bounded in time by the length of the text."""
    schema: dict[str, object] = json.loads(text)
    # What dialect the author had in mind makes no difference, nor where the document claims to live.
    for remark in ("$schema", "$id"):
        if isinstance(schema.get(remark), str):
            del schema[remark]
    if schema.get("type", "object") not in ("object", ["object"]):
        raise SchemaFlawError("the schema must describe an object: the arguments by name")
    walk = _Walk()
    walk.visit(schema)
    walk.check_references()
    return CheckedSchema(schema, walk.patterns)


@dataclass(slots=True)
class _Walk:
    """Goes through every schema in a document once."""

    patterns: dict[str, Pattern] = field(default_factory=dict)
    _places: set[_Place] = field(default_factory=set)
    _references: list[tuple[_Place, _Place]] = field(default_factory=list)
    _applied_in_place: dict[_Place, list[_Place]] = field(default_factory=dict)

    def visit(self, root: Mapping[str, object]) -> None:
        """Raises SchemaFlawError for the first keyword that is not as it should be."""
        ahead: list[tuple[_Place, object, int]] = [((), root, 1)]
        while ahead:
            place, schema, depth = ahead.pop()
            self._places.add(place)
            if isinstance(schema, bool):
                continue
            if not isinstance(schema, dict):
                raise _flaw(place, "must be a schema: an object, true or false")
            if depth > MAX_DEPTH:
                raise SchemaFlawError(f"the schema is nested more than {MAX_DEPTH} levels deep")
            for keyword, value in schema.items():
                self._check_keyword(place, keyword, value)
                for below, inner in _schemas_in(place, keyword, value):
                    ahead.append((below, inner, depth + 1))
                    if keyword in _IN_PLACE:
                        self._applied_in_place.setdefault(place, []).append(below)

    def check_references(self) -> None:
        """Raises SchemaFlawError for a reference to no schema, and for one that leads back to where it stands."""
        for place, target in self._references:
            if target not in self._places:
                raise _flaw((*place, "$ref"), "must name a schema of this document, such as #/$defs/name")
        chained = self._applied_in_place
        for _ in range(MAX_CHAIN):
            chained = {place: ahead for place, ahead in chained.items() if any(each in chained for each in ahead)}
        if chained:
            raise _flaw(min(chained), f"applies itself, or more than {MAX_CHAIN} schemas in turn, to one value")

    def _check_keyword(self, place: _Place, keyword: str, value: object) -> None:
        here = (*place, keyword)
        if keyword in _REFUSED:
            raise _flaw(here, "is not supported here")
        if keyword in _SHAPES:
            fits, shape = _SHAPES[keyword]
            if not fits(value):
                raise _flaw(here, f"must be {shape}")
        if keyword == "$ref":
            target = tuple(_unescaped(name) for name in unquote(str(value)).split("/")[1:])
            self._references.append((place, target))
            self._applied_in_place.setdefault(place, []).append(target)
        elif keyword == "pattern":
            self._compile(here, str(value))
        elif keyword == "patternProperties" and isinstance(value, dict):
            for pattern in value:
                self._compile(here, pattern)

    def _compile(self, place: _Place, pattern: str) -> None:
        if pattern in self.patterns:
            return
        if len(self.patterns) == MAX_PATTERNS:
            raise SchemaFlawError(f"the schema has more than {MAX_PATTERNS} patterns")
        try:
            self.patterns[pattern] = compile_pattern(pattern)
        except ValueError as error:
            reason = str(error)[:100]
            raise _flaw(place, f"is no pattern for linear-time matching (RE2 syntax): {reason}") from None


def _schemas_in(place: _Place, keyword: str, value: object) -> Iterator[tuple[_Place, object]]:
    if keyword in _SCHEMAS:
        yield (*place, keyword), value
    elif keyword in _SCHEMA_LISTS and isinstance(value, list):
        yield from (((*place, keyword, str(index)), inner) for index, inner in enumerate(value))
    elif keyword in _NAMED_SCHEMAS and isinstance(value, dict):
        yield from (((*place, keyword, name), inner) for name, inner in value.items())


def _flaw(place: _Place, problem: str) -> SchemaFlawError:
    pointer = "/".join(("#", *(name.replace("~", "~0").replace("/", "~1") for name in place)))
    shown = pointer if len(pointer) <= 100 else f"{pointer[:60]}…{pointer[-39:]}"
    return SchemaFlawError(f"{shown} {problem}")


def _unescaped(name: str) -> str:
    return name.replace("~1", "/").replace("~0", "~")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value) and len(set(value)) == len(value)


def _is_type(value: object) -> bool:
    names = [value] if isinstance(value, str) else value
    return _are_names(names) and isinstance(names, list) and names != [] and _TYPES.issuperset(names)


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and (value == "#" or value.startswith("#/"))


def _is_filled_list(value: object) -> bool:
    return isinstance(value, list) and value != []


def _is_object_of_names(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_names, value.values()))


def _shaped(
    fits: Callable[[object], bool], shape: str, *keywords: str
) -> dict[str, tuple[Callable[[object], bool], str]]:
    return dict.fromkeys(keywords, (fits, shape))


_SHAPES = {
    **_shaped(_is_text, "a text", "$comment", "title", "description", "format", "pattern"),
    **_shaped(_is_text, "a text", "contentEncoding", "contentMediaType"),
    **_shaped(_is_flag, "true or false", "deprecated", "readOnly", "uniqueItems", "writeOnly"),
    **_shaped(_is_list, "a list", "enum", "examples"),
    **_shaped(_is_object, "an object", *_NAMED_SCHEMAS),
    **_shaped(_is_filled_list, "a list that is not empty", *_SCHEMA_LISTS),
    **_shaped(_is_number, "a number", "exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum"),
    **_shaped(_is_positive, "a number above 0", "multipleOf"),
    **_shaped(_is_count, "a whole number of at least 0", "maxContains", "maxItems", "maxLength", "maxProperties"),
    **_shaped(_is_count, "a whole number of at least 0", "minContains", "minItems", "minLength", "minProperties"),
    **_shaped(_are_names, "a list of different names", "required"),
    **_shaped(_is_object_of_names, "an object of lists of different names", "dependentRequired"),
    **_shaped(_is_type, f"one of {', '.join(sorted(_TYPES))}, or a list of some", "type"),
    **_shaped(_is_reference, "a reference inside this document, such as #/$defs/name", "$ref"),
}
