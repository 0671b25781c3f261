"""The same wish is the same request however it is spelt; another wish never is (G5)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.application.idempotency import Field, key_for
from services.application.ports import IdempotencyKey, Principal

ANN = Principal("ann", "ann")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
commands = st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), values, max_size=4)


def key(command: dict[str, Field], rpc: str = "UpdateSession", request_id: str = "r1") -> IdempotencyKey:
    given = {f"field_{name}": value for name, value in command.items()}
    found = key_for(ANN, rpc, request_id, **given)
    assert found is not None
    return found


def test_without_a_request_id_nothing_is_remembered() -> None:
    assert key_for(ANN, "UpdateSession", "", title="x") is None


def test_a_key_belongs_to_an_owner_an_rpc_and_a_request() -> None:
    found = key({"title": "x"})
    assert (found.owner_id, found.rpc, found.request_id) == ("ann", "UpdateSession", "r1")
    assert len(found.fingerprint) == 32


def test_who_calls_for_an_owner_does_not_matter() -> None:
    gateway = Principal("gateway", "ann")
    assert key_for(gateway, "UpdateSession", "r1", field_title="x") == key({"title": "x"})


@given(commands)
def test_the_order_of_fields_does_not_matter(command: dict[str, Field]) -> None:
    assert key(command) == key(dict(reversed(command.items())))


@given(commands, commands)
def test_different_commands_have_different_fingerprints(one: dict[str, Field], other: dict[str, Field]) -> None:
    same = repr(sorted_deeply(one)) == repr(sorted_deeply(other))  # by repr, where True is not 1
    assert (key(one).fingerprint == key(other).fingerprint) is same


def sorted_deeply(value: Field) -> object:
    if isinstance(value, dict):
        return ("object", [(name, sorted_deeply(value[name])) for name in sorted(value)])
    if isinstance(value, list):
        return [sorted_deeply(inner) for inner in value]
    return value


def test_a_field_that_is_unset_differs_from_one_that_is_empty() -> None:
    assert key({"title": None}).fingerprint != key({"title": ""}).fingerprint
    assert key({"labels": {}}).fingerprint != key({"labels": []}).fingerprint
