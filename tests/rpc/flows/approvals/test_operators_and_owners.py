"""Rules of everybody are the operators' to make and to remove; everybody sees them and is bound by them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import grpc
import pytest

from agent_runtime.v1 import approval_rule_pb2 as rules_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.support.runtime_client import RuntimeClient, refused
from tests.support.tool_turns import begin, calls, ordered, read

_KEYS = {"user": "u-7f3c9a1e5b8d2046f1a3c5e7092b4d6f", "operator": "o-91b7d3f5a8c2e4061d9f7b5a3c1e8d60"}
GLOBAL = rules_pb2.APPROVAL_RULE_SCOPE_GLOBAL
DENY = rules_pb2.APPROVAL_EFFECT_DENY


@pytest.fixture
async def guarded(database_url: str, own_model: ScriptedModel) -> AsyncIterator[RuntimeProcess]:
    """A server with a key for a user and one for an operator, of different owners."""
    keys = [{"key": key, "name": name, "owner": name, "roles": [name]} for name, key in _KEYS.items()]
    settings = {"DEV": "false", "KEYS": json.dumps(keys), "DRAIN_DELAY": "0", "APPROVAL_RULES_PER_OWNER": "2"}
    async with RuntimeProcess(database_url, own_model.url, settings) as process:
        yield process


def as_(channel: grpc.aio.Channel, name: str) -> RuntimeClient:
    client = RuntimeClient(channel)
    client.metadata = (("authorization", f"Bearer {_KEYS[name]}"),)
    return client


async def test_rules_of_everybody_are_for_operators(guarded: RuntimeProcess, own_model: ScriptedModel) -> None:
    async with grpc.aio.insecure_channel(guarded.address) as channel:
        user, operator = as_(channel, "user"), as_(channel, "operator")
        async with refused() as refusal:
            await user.create_rule("read_file", DENY, scope=GLOBAL)
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.PERMISSION_DENIED, "OPERATOR_ROLE_REQUIRED")
        rule = await operator.create_rule("read_file", DENY, scope=GLOBAL)
        assert (rule.scope, rule.created_by) == (GLOBAL, "operator")
        assert list((await user.list_rules()).approval_rules) == [rule]
        _, events = await begin(user, own_model, calls(read("a", "c1")))
        assert ordered(events) == []
        async with refused() as refusal:
            await user.delete_rule(rule.id)
        assert refusal().reason == "OPERATOR_ROLE_REQUIRED"
        assert list((await user.list_rules()).approval_rules) == [rule]
        await operator.delete_rule(rule.id)
        assert list((await user.list_rules()).approval_rules) == []


async def test_an_owner_has_only_so_many_rules(guarded: RuntimeProcess) -> None:
    async with grpc.aio.insecure_channel(guarded.address) as channel:
        user, operator = as_(channel, "user"), as_(channel, "operator")
        for client in (user, operator):
            rules = [await client.create_rule("read_file", DENY) for _ in range(2)]
            async with refused() as refusal:
                await client.create_rule("read_file", DENY)
            assert (refusal().reason, refusal().metadata) == ("TOO_MANY_RULES", {"limit": "2"})
            await client.delete_rule(rules[0].id)
            await client.create_rule("read_file", DENY)
        await operator.create_rule("read_file", DENY, scope=GLOBAL)
