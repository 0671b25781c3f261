"""The scripted model is a judge as well: it must never get a history it refuses (G7). No test leaves turns behind."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devtools.scripted_model import ScriptedModel
from tests.support.runtime_client import RuntimeClient


@pytest.fixture
async def model(model: ScriptedModel) -> AsyncIterator[ScriptedModel]:
    """The scripted model behind the shared servers; it has refused nothing when the test is over."""
    yield model
    assert (await model.counts())["refused"] == 0


@pytest.fixture
async def client(client: RuntimeClient) -> AsyncIterator[RuntimeClient]:
    """A fresh owner, whose sessions are deleted at the end: what still waits in them must not take what the model
    has to say to the next test.
    """
    yield client
    for session in (await client.list_sessions(page_size=500)).sessions:
        await client.delete(session.id)
