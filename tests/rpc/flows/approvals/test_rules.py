"""Rules made by RPC decide the calls that come after: deny, then ask, then allow, of whatever scope."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest

from agent_runtime.v1 import approval_rule_pb2 as rules_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.refused_calls import wrong_fields
from tests.support.runtime_client import Event, RuntimeClient, every_page, kinds, refused, text_result
from tests.support.tool_turns import (
    approvals_in,
    begin,
    calls,
    command,
    decide_here,
    ordered,
    read,
    results_read,
    write,
)

ALLOW, ASK, DENY = (
    rules_pb2.APPROVAL_EFFECT_ALLOW,
    rules_pb2.APPROVAL_EFFECT_ASK,
    rules_pb2.APPROVAL_EFFECT_DENY,
)
EQ, CONTAINS, MATCHES, GT = (
    rules_pb2.ARGUMENT_OPERATOR_EQ,
    rules_pb2.ARGUMENT_OPERATOR_CONTAINS,
    rules_pb2.ARGUMENT_OPERATOR_MATCHES,
    rules_pb2.ARGUMENT_OPERATOR_GT,
)
SESSION, OWNER, GLOBAL = (
    rules_pb2.APPROVAL_RULE_SCOPE_SESSION,
    rules_pb2.APPROVAL_RULE_SCOPE_OWNER,
    rules_pb2.APPROVAL_RULE_SCOPE_GLOBAL,
)


async def judged(client: RuntimeClient, model: ScriptedModel, session_id: str, *made: Any) -> list[Event]:
    """What becomes of these calls in the next turn of the session."""
    await model.play(calls(*made), reply(text("done")))
    return await client.ask(session_id, "go")


async def test_a_rule_counts_from_its_creation_to_its_end(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session(agent="coder")
    rule = await client.create_rule("write_file", ALLOW, ("path", CONTAINS, "docs/"), session_id=session.id)
    assert (rule.scope, rule.session_id, rule.created_by) == (SESSION, session.id, "dev")
    assert rule.origin == rules_pb2.APPROVAL_RULE_ORIGIN_RPC
    assert rule.HasField("create_time")
    events = await judged(client, model, session.id, write("docs/a", "c1"))
    assert ordered(events) == [["c1"]]
    assert "approval_requested" not in kinds(events)
    await client.tool_results(session.id, text_result("c1", "ok"))
    await client.delete_rule(rule.id)
    events = await judged(client, model, session.id, write("docs/a", "c2"))
    assert list(approvals_in(events)) == ["c2"]


async def test_the_strictest_rule_decides_whatever_its_scope_or_priority(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session(agent="coder")
    await client.create_rule("write_file", ALLOW, session_id=session.id, priority=100)
    await client.create_rule("write_file", DENY, ("path", MATCHES, "secret/.*"), description="keep out")
    asks = await client.create_rule("write_*", ASK, ("path", EQ, "a.py"), session_id=session.id, priority=-5)
    louder = await client.create_rule("write_file", ASK, ("path", CONTAINS, "a.py"), priority=7)
    made = write("secret/x", "c1"), write("a.py", "c2"), write("b.py", "c3")
    events = await judged(client, model, session.id, *made)
    assert ordered(events) == [["c3"]]
    approval = approvals_in(events)["c2"]
    assert (approval.rule_id, approval.can_remember) == (louder.id, False)
    assert asks.id != louder.id
    await decide_here(client, approval)
    await client.tool_results(session.id, text_result("c2", "ok"), text_result("c3", "ok"))
    assert "keep out" in (await results_read(model))["c1"]


@pytest.mark.parametrize("tool", ["write_file", "write_*"])
@pytest.mark.parametrize("path", ["a/../secret.py", "./secret.py", ".//secret.py", "secret.py/"])
async def test_a_rule_means_the_path_however_it_is_spelt(
    client: RuntimeClient, model: ScriptedModel, tool: str, path: str
) -> None:
    session = await client.new_session(agent="coder")
    rule = await client.create_rule(tool, DENY, ("path", EQ, path), session_id=session.id)
    assert rule.conditions[0].value_json == json.dumps(path)
    events = await judged(client, model, session.id, write("secret.py", "c1"), write("b/./../secret.py", "c2"))
    assert events[-1].turn_completed.result_text == "done"
    assert "a rule forbids it" in (await results_read(model))["c1"]
    assert "a rule forbids it" in (await results_read(model))["c2"]


async def test_a_rule_of_one_session_is_none_of_another(client: RuntimeClient, model: ScriptedModel) -> None:
    one, other = await client.new_session(agent="coder"), await client.new_session(agent="coder")
    await client.create_rule("read_file", DENY, session_id=one.id)
    assert ordered(await judged(client, model, other.id, read("a", "c1"))) == [["c1"]]
    assert ordered(await judged(client, model, one.id, read("a", "c1"))) == []


async def test_a_rule_of_one_owner_is_none_of_another(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    rule = await client.create_rule("read_file", DENY)
    theirs = await other_client.new_session(agent="coder")
    assert ordered(await judged(other_client, model, theirs.id, read("a", "c1"))) == [["c1"]]
    assert list((await other_client.list_rules()).approval_rules) == []
    async with refused() as refusal:
        await other_client.delete_rule(rule.id)
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.NOT_FOUND, "APPROVAL_RULE_NOT_FOUND")
    async with refused() as refusal:
        await client.create_rule("read_file", DENY, session_id=theirs.id)
    assert refusal().reason == "SESSION_NOT_FOUND"


async def test_what_always_asks_is_not_allowed_by_rpc(client: RuntimeClient) -> None:
    for tool in ("execute_command", "exec*", "delete_file", "e*"):
        (field, says) = next(iter((await wrong_fields(client.create_rule(tool, ALLOW))).items()))
        assert field == "tool"
        assert "always ask" in says
    await client.create_rule("exec*", DENY, ("command", CONTAINS, "rm"))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"tool": "*"}, "tool"),
        ({"tool": "*_file"}, "tool"),
        ({"tool": "a*b"}, "tool"),
        ({"tool": ""}, "tool"),
        ({"effect": 0}, "effect"),
        ({"effect": 9}, "effect"),
        ({"scope": 0}, "scope"),
        ({"session_id": "s", "scope": OWNER}, "session_id"),
        ({"scope": SESSION}, "session_id"),
        ({"description": "x" * 501}, "description"),
        ({"conditions": [("a", EQ, 1)] * 17}, "conditions"),
        ({"conditions": [("", EQ, 1)]}, "conditions[0].argument"),
        ({"conditions": [("a", 0, 1)]}, "conditions[0].operator"),
        ({"conditions": [("a", GT, "1")]}, "conditions[0].value_json"),
        ({"conditions": [("a", MATCHES, "(")]}, "conditions[0].value_json"),
        ({"conditions": [("a", EQ, 1), ("a", MATCHES, "(?=x)")]}, "conditions[1].value_json"),
        ({"conditions": [("a", EQ, "x" * 4095)]}, "conditions[0].value_json"),
        ({"conditions": [("path", EQ, "/home/me/a.py")]}, "conditions[0].value_json"),
        ({"conditions": [("a", EQ, 1), ("path", EQ, "a/../../b.py")]}, "conditions[1].value_json"),
        ({"conditions": [("path", CONTAINS, "./secret")], "tool": "read_file"}, "conditions[0].value_json"),
        ({"conditions": [("a", EQ, float("nan"))]}, "conditions[0].value_json"),
    ],
)
async def test_a_rule_that_cannot_be_meant_is_refused(client: RuntimeClient, given: dict[str, Any], field: str) -> None:
    conditions = given.get("conditions", ())
    fields = {"scope": OWNER} | {name: value for name, value in given.items() if name != "conditions"}
    tool, effect = fields.pop("tool", "write_file"), fields.pop("effect", ASK)
    assert list(await wrong_fields(client.create_rule(tool, effect, *conditions, **fields))) == [field]
    assert list((await client.list_rules()).approval_rules) == []


async def test_a_repeat_makes_and_removes_nothing_twice(client: RuntimeClient) -> None:
    session = await client.new_session()
    for scope in ({}, {"session_id": session.id}):
        rule = await client.create_rule("write_file", ASK, request_id=f"make-{len(scope)}", **scope)
        again = await client.create_rule("write_file", ASK, request_id=f"make-{len(scope)}", **scope)
        assert again == rule
        async with refused() as refusal:
            await client.create_rule("write_file", DENY, request_id=f"make-{len(scope)}", **scope)
        assert refusal().reason == "REQUEST_ID_REUSED"
        assert list((await client.list_rules()).approval_rules) == [rule]
        for _ in range(2):
            await client.delete_rule(rule.id, request_id=f"remove-{len(scope)}")
        assert list((await client.list_rules()).approval_rules) == []
        async with refused() as refusal:
            await client.delete_rule(rule.id)
        assert refusal().reason == "APPROVAL_RULE_NOT_FOUND"
        async with refused() as refusal:
            await client.create_rule("write_file", ASK, request_id=f"make-{len(scope)}", **scope)
        assert refusal().reason == "APPROVAL_RULE_NOT_FOUND"


@pytest.mark.parametrize("page_size", [1, 2, 100])
async def test_rules_are_listed_oldest_first_by_session_and_scope(client: RuntimeClient, page_size: int) -> None:
    one, other = await client.new_session(), await client.new_session()
    made = [
        await client.create_rule("a", ASK),
        await client.create_rule("b", ASK, session_id=one.id),
        await client.create_rule("c", DENY, ("x.y", EQ, {"n": [2**53 + 1, 1.5, None]}), session_id=other.id),
        await client.create_rule("d", ALLOW),
    ]

    async def listed(**filters: Any) -> list[rules_pb2.ApprovalRule]:
        pages = await every_page(lambda token: client.list_rules(page_size=page_size, page_token=token, **filters))
        return [rule for page in pages for rule in page.approval_rules]

    assert await listed() == made
    assert await listed(session_id=one.id) == [made[0], made[1], made[3]]
    assert await listed(scopes=[SESSION]) == [made[1], made[2]]
    assert await listed(session_id=other.id, scopes=[SESSION]) == [made[2]]
    assert await listed(scopes=[GLOBAL]) == []
    await client.delete(other.id)
    assert await listed() == [made[0], made[1], made[3]]


async def test_the_operators_rules_are_listed_first_and_stay(ruled_client: RuntimeClient) -> None:
    mine = await ruled_client.create_rule("write_file", ASK)
    for page_size in (1, 4, 6, 7, 100):
        pages = await every_page(
            lambda token, size=page_size: ruled_client.list_rules(page_size=size, page_token=token)  # type: ignore[misc]
        )
        rules = [rule for page in pages for rule in page.approval_rules]
        assert [rule.id for rule in rules[:2]] == ["free-files", "make"]
        assert [rule.origin == rules_pb2.APPROVAL_RULE_ORIGIN_CONFIG for rule in rules] == [True] * 6 + [False]
        assert {rule.scope for rule in rules[:6]} == {GLOBAL}
        assert rules[6] == mine
        assert all(page.approval_rules for page in pages)
    assert list((await ruled_client.list_rules(scopes=[OWNER])).approval_rules) == [mine]
    assert list(await wrong_fields(ruled_client.delete_rule("make"))) == ["approval_rule_id"]


async def test_there_are_only_so_many(client: RuntimeClient) -> None:
    session = await client.new_session()
    for _ in range(50):
        await client.create_rule("write_file", ASK, session_id=session.id)
    async with refused() as refusal:
        await client.create_rule("write_file", ASK, session_id=session.id)
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_RULES")
    assert refusal().metadata["limit"] == "50"
    await client.create_rule("write_file", ASK, session_id=(await client.new_session()).id)
    await client.create_rule("write_file", ASK)


async def test_what_waits_goes_on_waiting_but_what_is_denied_by_now_is_not_approved(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(
        client, model, calls(write("a", "c1"), write("b", "c2"), write("c", "c3")), reply(text("done"))
    )
    asked = approvals_in(events)
    await client.create_rule("write_file", ALLOW, session_id=session_id)
    await client.create_rule("read_file", ASK)
    assert [each.id for each in (await client.list_approvals(session_id=session_id)).approvals] == [
        asked[id].id for id in ("c1", "c2", "c3")
    ]
    assert (await client.decide(asked["c1"])).approval.released  # with the hash of what was shown
    rule = await client.create_rule("write_file", DENY, ("path", EQ, "b"), description="not b")
    said = await wrong_fields(client.decide(asked["c2"]))
    assert list(said) == ["decision.decision"]
    assert "not b" in said["decision.decision"]
    assert (await client.decide(asked["c3"])).approval.released
    await client.delete_rule(rule.id)
    assert (await client.decide(asked["c2"])).approval.released


async def test_the_hash_depends_on_the_rules(client: RuntimeClient, model: ScriptedModel) -> None:
    """What was decided under some rules is nothing that could be decided again under others."""
    session_id, events = await begin(client, model, calls(command("ls", "c1")), reply(text("done")))
    first = approvals_in(events)["c1"]
    await client.cancel(session_id, "")
    await client.create_rule("read_file", ASK)
    second = approvals_in(await judged(client, model, session_id, command("ls", "c2")))["c2"]
    async with refused() as refusal:
        await client.decide(second, arguments_hash=first.arguments_hash)
    assert refusal().reason == "ARGUMENTS_HASH_MISMATCH"
