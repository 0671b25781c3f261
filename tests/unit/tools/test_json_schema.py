"""Arguments are checked as the standard says, with bounded work, in words that repeat nothing large."""

from __future__ import annotations

import concurrent.futures
import json
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from referencing import Registry

from services.infrastructure.tools import JsonSchemaValidator
from services.infrastructure.tools.bounded_validation import BoundedValidator, TooMuchWorkError
from services.infrastructure.tools.schema_flaws import checked_schema, schema_text

_SCHEMAS = JsonSchemaValidator()


@pytest.mark.parametrize(
    ("schema", "value", "words"),
    [
        ({"enum": ["a", "b", 3]}, "c", 'v must be one of "a", "b", 3'),
        ({"const": {"k": 1}}, {"k": 2}, 'v must be {"k": 1}'),
        ({"exclusiveMinimum": 0}, 0, "v must be above 0"),
        ({"exclusiveMaximum": 9}, 9, "v must be below 9"),
        ({"multipleOf": 0.01}, 0.071, "v must be a multiple of 0.01"),
        ({"minProperties": 1}, {}, "v has 0 members; at least 1 are needed"),
        ({"maxProperties": 0}, {"a": 1}, "v has 1 members; at most 0 are allowed"),
        ({"contains": {"type": "null"}}, [1], "v holds no item of the kind that is needed"),
        ({"contains": {}, "maxContains": 1}, [1, 2], "v must hold at most 1 items of a kind"),
        ({"contains": {"type": "null"}, "minContains": 2}, [None], "v must hold at least 2 items of the kind"),
        ({"prefixItems": [{}], "items": False}, [1, 2], "v has more items than are allowed"),
        ({"uniqueItems": True}, [1, 1.0], "v must not hold the same item twice"),
        ({"uniqueItems": True}, [{"a": [1]}, {"a": [1]}], "v must not hold the same item twice"),
        ({"not": {"type": "string"}}, "x", "v has a form that is not allowed"),
        (False, 1, "the arguments object holds something that is not allowed"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "v needs b beside a"),
        ({"required": ["k"]}, {}, "v has no k, which is required"),
        ({"additionalProperties": False}, {"k": 1}, "v.k is unknown; nothing is expected there"),
        ({"additionalProperties": {"type": "null"}}, {"k": 1}, "v.k must be of type null, not number"),
        ({"patternProperties": {"^n": {"type": "null"}}}, {"n1": 1}, "v.n1 must be of type null, not number"),
        ({"propertyNames": {"maxLength": 2}}, {"long": 1}, "a name in v has 4 characters; at most 2 are allowed"),
        ({"items": {"properties": {"k": {"type": "integer"}}}}, [{}, {"k": ""}], "v[1].k must be of type integer"),
        (
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
            3,
            "v fits none of the allowed forms: v must be of type string, not number; or v must be of type null",
        ),
        (
            {"oneOf": [{"properties": {"k": {"const": 1}}}, {"type": "string"}]},
            {"k": 2},
            "v fits none of the allowed forms: v.k must be 1",
        ),
        ({"oneOf": [{}, {"type": "integer"}]}, 1, "v fits more than one of the allowed forms"),
        ({"if": {"type": "string"}, "then": {"minLength": 2}}, "x", "v must have at least 2 characters"),
        ({"$ref": "#/$defs/text"}, 1, "v must be of type string, not number"),
    ],
)
def test_words_name_the_argument_and_what_would_be_right(schema: Any, value: object, words: str) -> None:
    whole = {"properties": {"v": schema}, "$defs": {"text": {"type": "string"}}}
    assert _SCHEMAS.flaw_of(whole) is None
    violation = _SCHEMAS.violation(whole, {"v": value})
    assert violation is not None
    assert violation.startswith(words)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"uniqueItems": True}, [1, True, "1", None, [1], {"a": 1}]),
        ({"multipleOf": 0.01}, 0.07),
        ({"multipleOf": 1e-300}, 10**300),
        ({"multipleOf": 7}, 7 * 10**4000),
        ({"maximum": 1e308}, 10**300),
        ({"type": "integer"}, 1.0),
        ({"format": "date-time"}, "yesterday"),
        ({"type": ["string", "null"]}, None),
        ({"enum": [1, "a"]}, 1.0),
        ({"pattern": "^a$"}, 7),
        ({"pattern": "b"}, "abc"),
    ],
)
def test_what_fits_passes(schema: Any, value: object) -> None:
    assert _SCHEMAS.violation({"properties": {"v": schema}}, {"v": value}) is None


@pytest.mark.parametrize("value", ["secret" * 100_000, ["secret"] * 10_000, {"secret" * 1000: "secret"}, 10**4000])
def test_words_are_short_and_repeat_no_value(value: object) -> None:
    schemas: list[dict[str, Any]] = [{"type": "null"}, {"const": 1}, {"enum": [[1]]}, {"not": {}}]
    for schema in (*schemas, {"anyOf": [{"type": "null"}] * 9}):
        violation = _SCHEMAS.violation({"properties": {"v": schema}}, {"v": value})
        assert violation is not None
        assert len(violation) <= 300
        assert "secret" not in violation


def test_long_and_strange_names_are_cut_and_escaped() -> None:
    violation = _SCHEMAS.violation({"additionalProperties": False}, {"\x1b[31m\n\u202e" + "x" * 500: 1})
    assert violation is not None
    assert violation.isprintable()
    assert len(violation) <= 300
    long = {"properties": {f"argument_{number}": {} for number in range(200)}, "additionalProperties": False}
    assert len(_SCHEMAS.violation(long, {"x": 1}) or "") <= 300


_TWICE = {"allOf": [{"$ref": "#/$defs/n"}, {"$ref": "#/$defs/n"}]}
_DOUBLING = {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"c": _TWICE}}}}
_LADDER = {
    "properties": {"c": {"$ref": "#/$defs/s0"}},
    "$defs": {
        **{f"s{number}": {"allOf": [{"$ref": f"#/$defs/s{number + 1}"}] * 2} for number in range(14)},
        "s14": {"allOf": [{"type": "object"}] * 30},
    },
}


def _chain(length: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(length):
        value = {"c": value}
    return value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (_DOUBLING, _chain(60)),
        (_LADDER, {"c": {}}),
        ({"properties": {"c": {"items": {"enum": list(range(5000))}}}}, {"c": [-1] * 100_000}),
        ({"properties": {"c": {"items": {"anyOf": [{"type": "null"}] * 500}}}}, {"c": [1] * 100_000}),
        ({"properties": {"c": {"allOf": [{"uniqueItems": True}] * 500}}}, {"c": [[n] for n in range(30_000)]}),
        (
            {"properties": {"c": {"allOf": [{"not": {"type": "null"}}, {"not": {"const": 1}}] * 400}}},
            {"c": "x" * 10**6},
        ),
        ({"properties": {"c": {"not": {"anyOf": [{"type": "null"}] * 2000}}}}, {"c": "\x01" * 10**6}),
        ({"properties": {"c": {"items": {}}}}, {"c": [0] * 300_000}),
        ({"properties": {"c": {"items": {"contains": {"const": [1] * 5000}}}}}, {"c": [[[1] * 4999 + [2]] * 9] * 9}),
        ({"properties": {"c": {"allOf": [{"multipleOf": 3}] * 2000}}}, {"c": 3 * 10**4000}),
        ({"properties": {"c": {"allOf": [{"dependentRequired": {"a": ["a"]}}] * 1500}}}, {"c": {"a": 1}}),
    ],
)
def test_a_bomb_is_broken_off(schema: dict[str, Any], value: dict[str, Any]) -> None:
    """With the bound on the work made small: what is over it now would be over the real one with a larger bomb."""
    assert _SCHEMAS.flaw_of(schema) is None
    text = schema_text(schema)
    validator = BoundedValidator(checked_schema(text), len(text))
    with pytest.raises(TooMuchWorkError):
        validator.first_error(value, len(json.dumps(value)), max_steps=5000)


def test_work_that_is_too_much_is_a_violation() -> None:
    violation = _SCHEMAS.violation(_DOUBLING, _chain(60))
    assert violation is not None
    assert "too large or too deep" in violation


_CATASTROPHIC = [
    r"(a+)+$",
    r"(\w+\s?)*$",
    r"^(a|aa)+$",
    r"^(a|a?)+$",
    r"(.*a){20}b",
    r"(x+x+)+y",
    r"^([a-zA-Z0-9])(([\-.]|[_]+)?([a-zA-Z0-9]+))*(@){1}[a-z0-9]+$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"([^\"]*,)*x",
    r"^((a+)b?)*c",
    r"(\s*\S+\s*)*#",
    r"^(\d+)*[^\d]$",
]


@pytest.mark.parametrize("pattern", _CATASTROPHIC)
def test_a_catastrophic_pattern_is_refused_or_matched_within_the_bound(pattern: str) -> None:
    """The bound is on steps, which are time; a backtracking matcher would not come back from these at all."""
    schema = {"properties": {"v": {"pattern": pattern}}, "patternProperties": {pattern: True}}
    if _SCHEMAS.flaw_of(schema) is None:
        for text in ("a" * 50_000 + "!", "aA1 " * 10_000 + "!", "x," * 20_000):
            _SCHEMAS.violation(schema, {"v": text, text: 1})


def test_long_texts_are_matched_as_often_as_the_bound_allows() -> None:
    text = {"v": "ab" * 500_000}
    once = {"properties": {"v": {"pattern": "[ab]*a[ab]{20}c"}}}
    assert "must match" in (_SCHEMAS.violation(once, text) or "")
    often = {"properties": {"v": {"allOf": [{"pattern": f"^[ab]*a[ab]{{{n}}}"} for n in range(60, 76)]}}}
    assert "too large" in (_SCHEMAS.violation(often, text) or "")


@pytest.mark.parametrize("arguments", [{"v": float("inf")}, {"v": "\ud800"}, {"v": object()}, {"v": 10**5000}])
def test_what_is_no_json_is_a_violation(arguments: dict[str, Any]) -> None:
    assert _SCHEMAS.violation({"properties": {"v": {"pattern": "x", "maximum": 3}}}, arguments) is not None


def test_arguments_as_deep_as_they_may_be_are_checked() -> None:
    tree = {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"c": {"$ref": "#/$defs/n"}}, "maxProperties": 1}}}
    assert _SCHEMAS.violation(tree, _chain(63)) is None


def test_many_threads_may_check_at_once() -> None:
    schemas = JsonSchemaValidator()

    def check(number: int) -> str | None:
        return schemas.violation({"properties": {"v": {"maximum": number % 7}}}, {"v": number % 7 + number % 2})

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(check, range(400)))
    assert [violation is None for violation in found] == [number % 2 == 0 for number in range(400)]


_leaves = st.sampled_from([0, 1, 2.5, -3, True, False, None, "a", "b", "ab", ""])
_values = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
_types = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
_simple_keywords: dict[str, st.SearchStrategy[Any]] = {
    "type": _types | st.lists(_types, min_size=1, max_size=3, unique=True),
    "enum": st.lists(_values, max_size=3),
    "const": _values,
    "minimum": st.integers(-2, 2),
    "exclusiveMaximum": st.integers(-2, 2),
    "multipleOf": st.sampled_from([1, 2, 0.5]),
    "minLength": st.integers(0, 2),
    "maxItems": st.integers(0, 2),
    "uniqueItems": st.booleans(),
    "pattern": st.sampled_from(["^a", "b$", "^$", "[ab]+"]),
    "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
    "dependentRequired": st.fixed_dictionaries({"a": st.just(["b"])}),
    "minProperties": st.integers(0, 2),
}


def _compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from("abc"), inner, max_size=2)
    some = st.lists(inner, min_size=1, max_size=2)
    return st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("items", "not", "contains", "if", "then", "else", "propertyNames"), inner),
            **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), some),
            **dict.fromkeys(("properties", "dependentSchemas"), named),
            "additionalProperties": inner,
            "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=2),
            "maxContains": st.integers(0, 2),
            "minContains": st.integers(0, 2),
            "$ref": st.just("#/$defs/text"),
        },
    )


_schemas = st.recursive(st.booleans() | st.fixed_dictionaries({}, optional=_simple_keywords), _compound, max_leaves=6)


@given(_schemas, _values)
def test_the_verdict_is_that_of_the_library_alone(schema: Any, value: object) -> None:
    whole = {"properties": {"v": schema}, "$defs": {"text": {"type": "string", "minLength": 1}}}
    assume(_SCHEMAS.flaw_of(whole) is None)
    expected = jsonschema.Draft202012Validator(whole, registry=Registry()).is_valid({"v": value})
    violation = _SCHEMAS.violation(whole, {"v": value})
    assert (violation is None) == expected, violation
    assert violation is None or 0 < len(violation) <= 300
