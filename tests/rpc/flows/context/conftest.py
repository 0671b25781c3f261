"""Servers whose model reads little, so that a few messages are too many."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.rpc.conftest import ONE_ATTEMPT, assert_no_surprise
from tests.support.databases import DATABASES, empty_database
from tests.support.runtime_client import RuntimeClient, connected
from tests.support.unlimited import PATIENT

WINDOW = {"CONTEXT__WINDOW": "8000"}


@pytest.fixture(scope="session", params=DATABASES)
async def small(request: pytest.FixtureRequest, shared_model: ScriptedModel) -> AsyncIterator[RuntimeProcess]:
    """A server whose model has a window of 8,000 tokens, of which the agent `ask` itself takes half."""
    settings = ONE_ATTEMPT | PATIENT | WINDOW
    async with empty_database(request) as url, RuntimeProcess(url, shared_model.url, settings) as process:
        yield process
        assert_no_surprise(process)


@pytest.fixture
async def small_client(small: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    """A fresh owner at that server."""
    async with connected(small.address) as connection:
        yield connection
