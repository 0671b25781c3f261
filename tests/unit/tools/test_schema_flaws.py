"""What clients may write in a tool's schema: ordinary JSON Schema, and nothing that fetches, hangs or misleads."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.infrastructure.tools import JsonSchemaValidator
from services.infrastructure.tools.schema_flaws import MAX_CHAIN, MAX_DEPTH, MAX_PATTERNS, MAX_SCHEMA_BYTES

_SCHEMAS = JsonSchemaValidator()
_TREE = {"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {}
    for _ in range(levels - 1):
        schema = {"properties": {"a": schema}}
    return schema


def _chained(length: int) -> dict[str, Any]:
    links: dict[str, Any] = {f"s{number}": {"$ref": f"#/$defs/s{number + 1}"} for number in range(length)}
    return {"$defs": {**links, f"s{length}": {}}}


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": ["object"]},
        {"properties": {"a": True, "b": False, "c": {"type": ["string", "null"]}}, "required": ["a"]},
        {"properties": {"$ref": {"type": "string"}, "$id": {}, "$schema": {}, "pattern": {}}},
        {"$schema": "http://json-schema.org/draft-07/schema#", "$id": "https://example.com/tool", "type": "object"},
        {"properties": {"a": {"$ref": "#/$defs/a%7E1b~1c"}}, "$defs": {"a/b/c": {"type": "string"}}},
        {"properties": {"a": {"$ref": "#/properties/b/anyOf/1"}, "b": {"anyOf": [{}, {"type": "null"}]}}},
        {"properties": {"a": {"$ref": "#"}}},
        _TREE,
        {"properties": {"a": {"pattern": r"^[\w.-]+@\w+\.com$", "format": "email"}}, "x-vendor": {"$ref": "any"}},
        {"default": {"$ref": "http://127.0.0.1:1/"}, "examples": [{"$id": 3}]},
        _nested(MAX_DEPTH),
        _chained(MAX_CHAIN),
        {"properties": {f"p{number}": {"pattern": f"a{{{number + 1}}}"} for number in range(MAX_PATTERNS)}},
    ],
)
def test_ordinary_schemas_are_taken(schema: dict[str, Any]) -> None:
    assert _SCHEMAS.flaw_of(schema) is None
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "must describe an object"),
        ({"type": ["object", "null"]}, "must describe an object"),
        ({"$ref": "http://127.0.0.1:1/schema"}, "#/$ref must be a reference inside this document"),
        ({"$ref": "other.json#/a"}, "#/$ref must be a reference inside this document"),
        ({"$ref": "file:///etc/passwd"}, "#/$ref must be a reference inside this document"),
        ({"$ref": "#anchor"}, "#/$ref must be a reference inside this document"),
        ({"$ref": "#/$defs/missing"}, "must name a schema of this document"),
        ({"$ref": "#/default", "default": {"type": "object"}}, "must name a schema of this document"),
        ({"$ref": "#/properties", "properties": {}}, "must name a schema of this document"),
        ({"properties": {"a": {"$ref": "#/anyOf/00"}}, "anyOf": [{}]}, "must name a schema of this document"),
        ({"$ref": "#"}, "applies itself"),
        ({"allOf": [{"not": {"$ref": "#/allOf/0"}}]}, "applies itself"),
        (
            {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
            "#/$defs/a applies itself",
        ),
        (_chained(MAX_CHAIN + 1), "schemas in turn"),
        ({"$dynamicRef": "#a"}, "#/$dynamicRef is not supported"),
        ({"$defs": {"a": {"$dynamicAnchor": "a"}}}, "#/$defs/a/$dynamicAnchor is not supported"),
        ({"properties": {"a": {"$id": "http://127.0.0.1:1/"}}}, "#/properties/a/$id is not supported"),
        ({"properties": {"a": {"$schema": "http://x"}}}, "#/properties/a/$schema is not supported"),
        ({"unevaluatedProperties": False}, "#/unevaluatedProperties is not supported"),
        ({"properties": {"a": {"pattern": "(a)\\1"}}}, "#/properties/a/pattern is no pattern for linear-time"),
        ({"patternProperties": {"(?<!a)b": {}}}, "is no pattern for linear-time"),
        ({"properties": {"a": {"pattern": "((a{99}){99}){99}"}}}, "is no pattern for linear-time"),
        ({"properties": {"a": {"pattern": "a" * 1001}}}, "more than 1000 characters"),
        ({"properties": {f"p{n}": {"pattern": f"a{{{n + 1}}}"} for n in range(MAX_PATTERNS + 1)}}, "more than 16"),
        ({"properties": {"a": 3}}, "#/properties/a must be a schema"),
        ({"properties": [{}]}, "#/properties must be an object"),
        ({"items": [{}]}, "#/items must be a schema"),
        ({"allOf": []}, "#/allOf must be a list that is not empty"),
        ({"type": "text"}, "must describe an object"),
        ({"properties": {"a": {"type": "text"}}}, "#/properties/a/type must be one of array, boolean"),
        ({"properties": {"a": {"type": [{"b": 1}]}}}, "#/properties/a/type must be one of"),
        ({"required": True}, "#/required must be a list of different names"),
        ({"required": ["a", "a"]}, "#/required must be a list of different names"),
        ({"properties": {"a": {"minLength": -1}}}, "whole number of at least 0"),
        ({"properties": {"a": {"multipleOf": 0}}}, "number above 0"),
        ({"properties": {"a": {"maximum": "9"}}}, "must be a number"),
        ({"properties": {"a": {"uniqueItems": 1}}}, "must be true or false"),
        ({"properties": {"a": {"enum": "b"}}}, "must be a list"),
        ({"description": 7}, "must be a text"),
        (_nested(MAX_DEPTH + 1), "nested more than 32 levels"),
        ({"description": "x" * MAX_SCHEMA_BYTES}, "longer than 65536 bytes"),
        ({"default": float("nan")}, "not JSON"),
        ({"default": object()}, "not JSON"),
        ({"description": "\ud800"}, "not JSON"),
    ],
)
def test_a_flaw_is_named_with_its_place(schema: dict[str, Any], words: str) -> None:
    flaw = _SCHEMAS.flaw_of(schema)
    assert flaw is not None
    assert words in flaw
    assert len(flaw) < 400


def test_a_schema_nested_beyond_any_reason_is_a_flaw_and_no_crash() -> None:
    assert _SCHEMAS.flaw_of(_nested(100_000)) is not None


def test_a_flawed_schema_lets_no_call_pass() -> None:
    violation = _SCHEMAS.violation({"$ref": "http://127.0.0.1:1/"}, {})
    assert violation is not None
    assert "its schema is flawed" in violation


def test_what_a_caller_does_to_its_schema_afterwards_changes_nothing() -> None:
    schema: dict[str, Any] = {"properties": {"a": {"type": "string"}}}
    assert _SCHEMAS.violation(schema, {"a": 1}) is not None
    properties = schema["properties"]
    properties["a"]["type"] = "integer"
    assert _SCHEMAS.violation(schema, {"a": 1}) is None
    properties["a"]["type"] = "string"
    assert _SCHEMAS.violation(schema, {"a": 1}) is not None


_KEYWORDS = [
    *("$defs", "$ref", "additionalProperties", "allOf", "anyOf", "const", "contains", "dependentRequired"),
    *("dependentSchemas", "description", "else", "enum", "examples", "exclusiveMinimum", "if", "items", "maxItems"),
    *("maximum", "minLength", "multipleOf", "not", "oneOf", "pattern", "patternProperties", "prefixItems"),
    *("properties", "propertyNames", "readOnly", "required", "then", "title", "type", "uniqueItems", "format"),
]
_anything = st.recursive(
    st.sampled_from(["object", "string", "#", "#/$defs/a", "a", "[a", 0, 1, -1, 2.5, True, False, None]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*_KEYWORDS, "a", "b"]), inner, max_size=3)
    ),
    max_leaves=12,
)
_schemas = st.dictionaries(st.sampled_from(_KEYWORDS), _anything, max_size=4)


@given(_schemas)
def test_a_schema_without_flaws_is_one_by_the_standard_too(schema: dict[str, Any]) -> None:
    if _SCHEMAS.flaw_of(schema) is None:
        jsonschema.Draft202012Validator.check_schema(schema)


@given(_schemas, st.dictionaries(st.sampled_from(["a", "b"]), _anything, max_size=3))
def test_no_schema_and_no_arguments_make_a_check_fail(schema: dict[str, Any], arguments: dict[str, Any]) -> None:
    violation = _SCHEMAS.violation(schema, arguments)
    assert violation is None or 0 < len(violation) <= 400
