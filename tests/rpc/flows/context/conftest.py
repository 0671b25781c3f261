"""Servers whose model reads little, so that a few messages are too many."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.rpc.conftest import DATABASES, ONE_ATTEMPT, assert_no_surprise
from tests.support.postgres import PostgresServer
from tests.support.runtime_client import RuntimeClient, connected

WINDOW = {"CONTEXT__WINDOW": "8000"}


@pytest.fixture(scope="session", params=DATABASES)
async def small(
    request: pytest.FixtureRequest, shared_model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[RuntimeProcess]:
    """A server whose model has a window of 8,000 tokens, of which the agent `ask` itself takes half."""
    settings = ONE_ATTEMPT | WINDOW
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('small') / 'runtime.db'}"
        async with RuntimeProcess(url, shared_model.url, settings) as process:
            yield process
            assert_no_surprise(process)
    else:
        postgres: PostgresServer = request.getfixturevalue("postgres")
        async with (
            postgres.database() as name,
            RuntimeProcess(postgres.url_of(name), shared_model.url, settings) as process,
        ):
            yield process
            assert_no_surprise(process)


@pytest.fixture
async def small_client(small: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    """A fresh owner at that server."""
    async with connected(small.address) as connection:
        yield connection
