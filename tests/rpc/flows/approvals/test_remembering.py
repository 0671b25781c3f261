"""A decision for the whole session: later calls of the tool are decided the same way, and nobody is asked."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import approval_pb2, approval_rule_pb2, session_history_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.refused_calls import wrong_fields
from tests.support.runtime_client import RuntimeClient, kinds, refused, text_result
from tests.support.tool_turns import approvals_in, begin, calls, command, decide_here, ordered, results_read, write

APPROVE, EDIT, REJECT = (
    approval_pb2.DECISION_APPROVE,
    approval_pb2.DECISION_APPROVE_WITH_EDITS,
    approval_pb2.DECISION_REJECT,
)
SESSION = approval_pb2.REMEMBER_SESSION


@pytest.mark.parametrize("unary", [True, False])
async def test_an_approval_allows_the_tool_from_then_on(
    client: RuntimeClient, model: ScriptedModel, unary: bool
) -> None:
    session_id, events = await begin(
        client, model, calls(write("a", "c1")), calls(write("b", "c2")), reply(text("done"))
    )
    approval = approvals_in(events)["c1"]
    assert approval.can_remember
    if unary:
        await client.decide(approval, remember=SESSION)
        await client.decide(approval, remember=SESSION)  # again, and nothing more comes of it
    else:
        await decide_here(client, approval, remember=SESSION)
    (rule,) = (await client.list_rules(session_id=session_id)).approval_rules
    assert (rule.tool, rule.effect) == ("write_file", approval_rule_pb2.APPROVAL_EFFECT_ALLOW)
    assert (rule.scope, rule.session_id) == (approval_rule_pb2.APPROVAL_RULE_SCOPE_SESSION, session_id)
    assert (rule.origin, rule.created_by) == (approval_rule_pb2.APPROVAL_RULE_ORIGIN_REMEMBERED, "dev")
    events = await client.tool_results(session_id, text_result("c1", "ok"))
    assert ordered(events) == [["c2"]]
    assert "approval_requested" not in kinds(events)
    await client.tool_results(session_id, text_result("c2", "ok"))
    await client.delete_rule(rule.id)
    await model.play(calls(write("c", "c3")))
    assert list(approvals_in(await client.ask(session_id, "more"))) == ["c3"]


async def test_a_rejection_denies_the_tool_from_then_on(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(write("a", "c1")), calls(write("b", "c2")), reply(text("well"))
    )
    events = await decide_here(client, approvals_in(events)["c1"], REJECT, remember=SESSION)
    assert events[-1].turn_completed.result_text == "well"
    assert "approval_requested" not in kinds(events)
    assert "rule" in (await results_read(model))["c2"]
    (rule,) = (await client.list_rules(session_id=session_id)).approval_rules
    assert rule.effect == approval_rule_pb2.APPROVAL_EFFECT_DENY


async def test_what_always_asks_cannot_be_remembered(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(command("ls", "c1")))
    approval = approvals_in(events)["c1"]
    assert not approval.can_remember
    for decision in (APPROVE, REJECT):
        assert list(await wrong_fields(client.decide(approval, decision, remember=SESSION))) == ["decision.remember"]
    assert list((await client.list_rules(session_id=session_id)).approval_rules) == []
    pending = await client.approval(session_id, approval.id)
    assert pending.state == approval_pb2.APPROVAL_STATE_PENDING


async def test_edits_cannot_be_remembered(client: RuntimeClient, model: ScriptedModel) -> None:
    _, events = await begin(client, model, calls(write("a", "c1")))
    edits = approvals_in(events)["c1"].arguments_json
    wrong = await wrong_fields(
        client.decide(approvals_in(events)["c1"], EDIT, edited_arguments_json=edits, remember=SESSION)
    )
    assert list(wrong) == ["decision.remember"]


async def test_remembering_or_not_is_part_of_the_decision(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(client, model, calls(write("a", "c1")))
    await client.decide(approvals_in(events)["c1"])
    async with refused() as refusal:
        await client.decide(approvals_in(events)["c1"], remember=SESSION)
    assert refusal().reason == "APPROVAL_RESOLVED"
    assert list((await client.list_rules(session_id=session_id)).approval_rules) == []


async def test_two_of_one_answer_make_one_rule_and_a_fork_starts_without(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session_id, events = await begin(client, model, calls(write("a", "c1"), write("b", "c2")), reply(text("done")))
    for approval in approvals_in(events).values():
        await client.decide(approval, remember=SESSION)
    assert len((await client.list_rules(session_id=session_id)).approval_rules) == 1
    await client.tool_results(session_id, text_result("c1", "ok"), text_result("c2", "ok"))
    request = session_history_pb2.ForkSessionRequest(session_id=session_id)
    fork = (await client.sessions.ForkSession(request, metadata=client.metadata)).session
    assert list((await client.list_rules(session_id=fork.id)).approval_rules) == []
