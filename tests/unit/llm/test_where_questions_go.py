"""A question goes to the operator's address and nowhere else, whatever the environment or the endpoint says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devtools.scripted_model import Reply, ScriptedModel, reply, running_scripted_model, text
from services.domain.model_exchange import ModelError
from tests.unit.llm.test_openai_client import ask, client_of


@pytest.fixture
async def model() -> AsyncIterator[ScriptedModel]:
    """Where questions are to go."""
    async with running_scripted_model() as running:
        yield running


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
async def test_a_proxy_of_the_environment_is_not_used(
    model: ScriptedModel, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    await model.play(reply(text("hello")))
    async with running_scripted_model() as other:
        monkeypatch.setenv(name, other.url)
        async with client_of(model.url) as client:
            assert (await ask(client))[1].text == "hello"
        assert (await other.counts())["calls"] == 0


async def test_a_redirection_is_not_followed(model: ScriptedModel) -> None:
    async with running_scripted_model() as other:
        elsewhere = {"Location": f"{other.url}/chat/completions"}
        await model.play(*(Reply(status=status, body="", headers=elsewhere) for status in (302, 307, 308)))
        async with client_of(model.url) as client:
            for _ in range(3):
                with pytest.raises(ModelError):
                    await ask(client)
        assert (await other.counts())["calls"] == 0
