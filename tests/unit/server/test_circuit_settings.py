"""What an operator may say about a model that fails is what the model client understands."""

from __future__ import annotations

from typing import get_args

import pytest

from server.config import load_settings
from server.setting_groups import Profile
from server.startup_error import StartupError
from services.infrastructure.llm import PROFILES

FALLBACKS = "AGENT_RUNTIME__RESILIENCE__MODEL_FALLBACKS"


def test_profiles_are_those_of_the_client() -> None:
    assert set(get_args(Profile)) == set(PROFILES)


def test_fallbacks_are_read_in_order_and_their_keys_are_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        FALLBACKS,
        '[{"base_url": "http://a/v1", "model": "x", "api_key": "sk-1"},'
        ' {"base_url": "https://b/v1", "model": "y", "profile": "deepseek"}]',
    )
    settings = load_settings()
    first, second = settings.resilience.model_fallbacks
    assert (first.base_url, second.model, second.profile) == ("http://a/v1", "y", "deepseek")
    assert "sk-1" in settings.secret_values()
    assert "sk-1" not in repr(settings)


@pytest.mark.parametrize(
    "route",
    [
        '{"base_url": "ftp://a", "model": "x"}',
        '{"base_url": "http://u:sk-1@a", "model": "x"}',
        '{"base_url": "http://a", "model": ""}',
        '{"base_url": "http://a", "model": "x", "profile": "sk-1"}',
        '{"base_url": "http://a", "model": "x", "key": "sk-1"}',
    ],
)
def test_a_fallback_that_means_nothing_is_refused_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    monkeypatch.setenv(FALLBACKS, f"[{route}]")
    with pytest.raises(StartupError, match="RESILIENCE") as refused:
        load_settings()
    assert "sk-1" not in str(refused.value)
