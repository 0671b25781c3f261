"""Real servers for the tests of this folder: one process per database, shared, each test with an owner of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, running_scripted_model
from tests.support.databases import DATABASES, empty_database
from tests.support.leaks import nothing_left
from tests.support.runtime_client import RuntimeClient, connected
from tests.support.unlimited import PATIENT, UNLIMITED

ONE_ATTEMPT = {"RESILIENCE__MODEL_ATTEMPTS": "1", "RESILIENCE__MODEL_CIRCUIT_FAILURES": "1000000"}
"""A model that fails once has failed: what comes of it is tested here, and how it is avoided in `model_faults`."""


@pytest.fixture(scope="session")
async def shared_model() -> AsyncIterator[ScriptedModel]:
    async with running_scripted_model() as model:
        yield model


@pytest.fixture
async def model(shared_model: ScriptedModel) -> ScriptedModel:
    """The scripted model behind the shared servers, with nothing left of the test before."""
    await shared_model.reset()
    return shared_model


@pytest.fixture
async def own_model() -> AsyncIterator[ScriptedModel]:
    """A scripted model for the test's own server: nothing that a test before has left at a shared one calls it."""
    async with running_scripted_model() as model:
        yield model


@pytest.fixture(scope="session", params=DATABASES)
async def runtime(request: pytest.FixtureRequest, shared_model: ScriptedModel) -> AsyncIterator[RuntimeProcess]:
    """The shared server; tests that stop it start one of their own. It ends with no more than it began with."""
    async with (
        empty_database(request) as url,
        RuntimeProcess(url, shared_model.url, ONE_ATTEMPT | UNLIMITED | PATIENT) as process,
    ):
        async with nothing_left(process.pid, process.address):
            yield process
        assert_no_surprise(process)


def assert_no_surprise(process: RuntimeProcess) -> None:
    """Whatever the tests did to it, the server met nothing that it had not expected."""
    lines = process.log.read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if '"level":"error"' in line or "Traceback" in line]


@pytest.fixture
async def client(runtime: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    """A fresh owner at the shared server."""
    async with connected(runtime.address) as connection:
        yield connection


@pytest.fixture(params=DATABASES)
async def database_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """An empty database of this test's own, for a server of its own."""
    async with empty_database(request) as url:
        yield url


@pytest.fixture
async def other_client(runtime: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    """Another fresh owner at the same server."""
    async with connected(runtime.address) as connection:
        yield connection
