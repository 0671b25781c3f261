"""For the tests of whole flows the scripted model is a judge as well: it must never get a history it refuses (G7)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.support.databases import DATABASES, empty_database
from tests.support.runtime_client import RuntimeClient, connected
from tests.support.unlimited import PATIENT

RULES: list[dict[str, Any]] = [
    {
        "id": "free-files",
        "tool": "write_file",
        "effect": "ALLOW",
        "conditions": [{"argument": "path", "op": "CONTAINS", "value": "free/"}],
    },
    {
        "id": "make",
        "tool": "execute_command",
        "effect": "ALLOW",
        "conditions": [{"argument": "command", "op": "CONTAINS", "value": "make"}],
    },
    {
        "id": "never-remove",
        "tool": "execute_command",
        "effect": "DENY",
        "conditions": [{"argument": "command", "op": "CONTAINS", "value": "rm -rf"}],
        "description": "nothing is removed here",
    },
    {
        "id": "secrets",
        "tool": "read_file",
        "effect": "ASK",
        "conditions": [{"argument": "path", "op": "EQ", "value": "secrets.env"}],
        "description": "the file holds secrets",
    },
    {
        "id": "long-commands",
        "tool": "execute_command",
        "effect": "ASK",
        "conditions": [{"argument": "timeout", "op": "GT", "value": 100}],
    },
    {"id": "no-folders", "tool": "create_*", "effect": "DENY"},
]
BRIEF = {"TURNS__APPROVAL_WAIT": "1", "TURNS__TOOL_RESULT_WAIT": "1", "TURNS__FOLLOWUP_WAIT": "1"}


@pytest.fixture
async def model(model: ScriptedModel) -> AsyncIterator[ScriptedModel]:
    """The scripted model behind the shared servers; it has refused nothing when the test is over."""
    yield model
    assert (await model.counts())["refused"] == 0


@pytest.fixture
async def own_model(own_model: ScriptedModel) -> AsyncIterator[ScriptedModel]:
    """The scripted model of the test's own server, as strict a judge."""
    yield own_model
    assert (await own_model.counts())["refused"] == 0


@pytest.fixture(scope="session")
async def ruled(shared_model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RuntimeProcess]:
    """A server with the rules above."""
    url = f"sqlite:///{tmp_path_factory.mktemp('ruled') / 'runtime.db'}"
    async with RuntimeProcess(url, shared_model.url, PATIENT | {"APPROVAL_RULES": json.dumps(RULES)}) as process:
        yield process


@pytest.fixture
async def ruled_client(ruled: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    """A fresh owner at the server with rules."""
    async with connected(ruled.address) as connection:
        yield connection


@pytest.fixture(scope="session", params=DATABASES)
async def brief(request: pytest.FixtureRequest, shared_model: ScriptedModel) -> AsyncIterator[RuntimeProcess]:
    """A server that waits for nobody long."""
    async with empty_database(request) as url, RuntimeProcess(url, shared_model.url, BRIEF) as process:
        yield process


@pytest.fixture
async def brief_client(brief: RuntimeProcess) -> AsyncIterator[RuntimeClient]:
    """A fresh owner at the server that waits for nobody long."""
    async with connected(brief.address) as connection:
        yield connection
