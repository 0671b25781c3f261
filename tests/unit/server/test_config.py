"""The settings: what they accept, refuse and never say."""

from __future__ import annotations

import json

import pytest

from server.config import GROUPS, Settings, load_settings, unknown_variables
from server.settings_reference import settings_reference
from server.startup_error import StartupError

GOOD_KEY = "5f0c7f0e9b7d4c3a8e61d2b4a7c9f013"
SENTINEL = "sentinel-secret-7c1d9e"
OUTSIDE = {"argument": "path", "op": "EQ", "value": f"/{SENTINEL}"}


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in unknown_variables():
        monkeypatch.delenv(name)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AGENT_RUNTIME__{name.upper()}", raising=False)


def keys_json(**changes: object) -> str:
    return json.dumps([{"key": GOOD_KEY, "name": "gateway", "owner": "acme"} | changes])


def test_variables_are_read_and_flags_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__LISTEN", "127.0.0.1:1")
    monkeypatch.setenv("AGENT_RUNTIME__LLM_MODEL", "model-a")
    monkeypatch.setenv("AGENT_RUNTIME__SIZES__USER_MESSAGE", "1KiB")
    monkeypatch.setenv("AGENT_RUNTIME__KEYS", keys_json(roles=["operator"], gateway=True))
    settings = load_settings(listen="127.0.0.1:2", llm_model=None)
    assert settings.listen == "127.0.0.1:2"
    assert settings.llm_model == "model-a"
    assert settings.sizes.user_message == 1024
    assert settings.keys[0].gateway
    assert settings.keys[0].key.get_secret_value() == GOOD_KEY


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTEN", SENTINEL),
        ("LISTEN", "127.0.0.1:65536"),
        ("LISTEN", "127.0.0.1"),
        ("DATABASE_URL", f"mysql://root:{SENTINEL}@db/x"),
        ("LLM_PROXY_URL", f"https://user:{SENTINEL}@llm/v1"),
        ("LLM_PROXY_URL", f"https://llm/v1?key={SENTINEL}"),
        ("LLM_PROXY_URL", "file:///etc/passwd"),
        ("KEYS", f'[{{"key": "{SENTINEL}'),
        ("KEYS", json.dumps([{"key": SENTINEL, "name": "a", "owner": "b c"}])),
        ("KEYS", json.dumps([{"key": SENTINEL, "name": "a"}])),
        (
            "KEYS",
            json.dumps([{"key": SENTINEL, "name": "a", "owner": "b"}, {"key": SENTINEL, "name": "c", "owner": "d"}]),
        ),
        ("KEYS", json.dumps([{"key": SENTINEL, "name": "a", "owner": "b", "role": ["user"]}])),
        ("HEARTBEAT", "0"),
        ("GRACE", "nan"),
        ("LOG_LEVEL", "LOUD"),
        ("SIZES__PAGE", "0"),
        ("APPROVAL_RULES", json.dumps([{"id": "a", "tool": "read_file", "effect": "DENY", "conditions": [OUTSIDE]}])),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable_and_not_the_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"AGENT_RUNTIME__{name}", value)
    with pytest.raises(StartupError) as caught:
        load_settings()
    assert f"AGENT_RUNTIME__{name.split('__')[0]}" in str(caught.value)
    assert SENTINEL not in str(caught.value)
    assert "\n" not in str(caught.value)
    # Whoever prints the traceback after all must not see it either.
    assert caught.value.__suppress_context__


def test_secrets_are_not_in_repr_nor_in_dumps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__KEYS", keys_json(key=f"{SENTINEL}1"))
    settings = load_settings(llm_api_key=f"{SENTINEL}2", database_url=f"postgresql://u:{SENTINEL}3@db/x")
    assert SENTINEL not in repr(settings) + str(settings) + settings.model_dump_json()
    assert settings.secret_values() == [f"{SENTINEL}{n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("key", ["tiny", "x" * 40, "change-me-internal-key-0123456789abcdef", "abcabcabc" * 5])
def test_weak_keys_are_refused_outside_of_development(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__KEYS", keys_json(key=key))
    with pytest.raises(StartupError, match=r"AGENT_RUNTIME__KEYS\[0\] \(gateway\) is") as caught:
        load_settings().check_guarded()
    assert key not in str(caught.value)
    load_settings(dev=True).check_guarded()


def test_a_server_without_keys_starts_in_development_only(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartupError, match="nobody may call"):
        load_settings().check_guarded()
    load_settings(dev=True).check_guarded()
    monkeypatch.setenv("AGENT_RUNTIME__KEYS", keys_json())
    load_settings().check_guarded()


@pytest.mark.parametrize(
    ("listen", "on_loopback"),
    [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("0.0.0.0:1", False), ("[::]:1", False)],
)
def test_reflection_is_on_by_itself_on_loopback_and_in_development(listen: str, on_loopback: bool) -> None:
    assert load_settings(listen=listen).on_loopback is on_loopback
    assert load_settings(listen=listen).reflection_enabled is on_loopback
    assert load_settings(listen=listen, dev=True).reflection_enabled
    assert load_settings(listen=listen, reflection=True).reflection_enabled
    assert not load_settings(listen=listen, dev=True, reflection=False).reflection_enabled


def test_only_development_drains_at_once_and_only_if_not_told_otherwise() -> None:
    assert load_settings().effective_drain_delay == 5.0
    assert load_settings(dev=True).effective_drain_delay == 0.0
    assert load_settings(dev=True, drain_delay=2).effective_drain_delay == 2.0


def test_misspelt_variables_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENT_RUNTIME__LISTENN", "x")
    monkeypatch.setenv("AGENT_RUNTIME__SIZES__USER_MESSAGES", "1")
    monkeypatch.setenv("AGENT_RUNTIME__SIZES__USER_MESSAGE", "1")
    assert unknown_variables() == ["AGENT_RUNTIME__LISTENN", "AGENT_RUNTIME__SIZES__USER_MESSAGES"]


def test_the_reference_lists_every_setting_with_a_meaning() -> None:
    rows = [line.split(" | ") for line in settings_reference().splitlines() if line.startswith("| `")]
    listed = {row[0].strip("|` ") for row in rows}
    assert {f"AGENT_RUNTIME__{name.upper()}" for name in Settings.model_fields if name not in GROUPS} <= listed
    assert {"AGENT_RUNTIME__SIZES__GRPC_MESSAGE", "AGENT_RUNTIME__TURNS__MODEL_CALLS"} <= listed
    assert all(row[-1].strip("| ") for row in rows)
