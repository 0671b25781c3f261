"""One approval and two servers: whatever meets, there is one outcome, and both servers tell the same one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from agent_runtime.v1 import approval_pb2, approval_rule_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel, When, reply, text, tool_calls
from tests.support.postgres import PostgresServer
from tests.support.runtime_client import Event, RuntimeClient, connected, refusal_of, refused, text_result
from tests.support.tool_turns import approvals_in, begin, calls, command, follow, only, ordered, payloads, write
from tests.support.unlimited import UNLIMITED

APPROVE, EDIT, REJECT = (
    approval_pb2.DECISION_APPROVE,
    approval_pb2.DECISION_APPROVE_WITH_EDITS,
    approval_pb2.DECISION_REJECT,
)
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Pair:
    """The same owner at two servers that share a database."""

    one: RuntimeClient
    two: RuntimeClient
    model: ScriptedModel

    async def held(self, *more: Any) -> tuple[str, approval_pb2.Approval, list[Event]]:
        """A session whose turn, begun at the first server, waits for the decision about a command."""
        # What the turn before is still saying must not take this answer.
        made = reply(tool_calls(command("make", "c1"), *more), when=When(last_role="user"))
        session_id, events = await begin(self.one, self.model, made, reply(text("done"), repeat=True))
        return session_id, approvals_in(events)["c1"], events

    async def resolution(self, session_id: str) -> Any:
        """How the approval ended, which both servers say alike, and say once."""
        one, two = [only(await client.log(session_id), "approval_resolved") for client in (self.one, self.two)]
        assert one == two
        return one


async def both(*attempts: Any) -> list[Any]:
    """What came of calls made at one moment: an answer, or the reason of the refusal."""
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    return [refusal_of(each).reason if isinstance(each, grpc.aio.AioRpcError) else each for each in outcomes]


async def _pair(
    stack: AsyncExitStack, postgres: PostgresServer, model: ScriptedModel, settings: dict[str, str]
) -> Pair:
    await model.reset()
    url = postgres.url_of(await stack.enter_async_context(postgres.database()))
    servers = [await stack.enter_async_context(RuntimeProcess(url, model.url, UNLIMITED | settings)) for _ in range(2)]
    one, two = [await stack.enter_async_context(connected(server.address, "me")) for server in servers]
    return Pair(one, two, model)


@pytest.fixture(scope="module")
async def shared_pair(postgres: PostgresServer, shared_model: ScriptedModel) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        yield await _pair(stack, postgres, shared_model, {})


@pytest.fixture
async def pair(shared_pair: Pair) -> Pair:
    await shared_pair.model.reset()
    return shared_pair


async def test_of_two_decisions_one_counts(pair: Pair) -> None:
    for _ in range(_ROUNDS):
        session_id, approval, _ = await pair.held()
        outcomes = await both(pair.one.decide(approval), pair.two.decide(approval, REJECT))
        assert outcomes.count("APPROVAL_RESOLVED") == 1
        (told,) = [each.approval for each in outcomes if each != "APPROVAL_RESOLVED"]
        resolved = await pair.resolution(session_id)
        assert (resolved.outcome, resolved.released) == (told.state, told.released)
        assert ordered(await pair.two.log(session_id)) == ([["c1"]] if told.released else [])


async def test_of_two_edits_one_runs_and_runs_as_it_was_decided(pair: Pair) -> None:
    for _ in range(_ROUNDS):
        session_id, approval, _ = await pair.held()
        edits = [json.dumps({"command": f"make test{n}"}) for n in range(2)]
        outcomes = await both(
            pair.one.decide(approval, EDIT, edited_arguments_json=edits[0]),
            pair.two.decide(approval, EDIT, edited_arguments_json=edits[1]),
        )
        won = 0 if outcomes[1] == "APPROVAL_RESOLVED" else 1
        assert outcomes[1 - won] == "APPROVAL_RESOLVED"
        assert outcomes[won].approval.edited_arguments_json == edits[won]
        (order,) = payloads(await pair.two.log(session_id), "tool_calls_requested")
        assert [(call.id, call.arguments_json) for call in order.calls] == [("c1", edits[won])]


async def test_a_decision_and_a_cancel(pair: Pair) -> None:
    for _ in range(_ROUNDS):
        session_id, approval, _ = await pair.held()
        decided, cancelled = await both(pair.one.decide(approval), pair.two.cancel(session_id, ""))
        assert not isinstance(cancelled, str)
        resolved = await pair.resolution(session_id)
        if decided == "APPROVAL_RESOLVED":
            assert (resolved.outcome, resolved.released) == (approval_pb2.APPROVAL_STATE_CANCELLED, False)
        else:
            assert resolved.released


async def test_a_decision_after_a_cancel_elsewhere(pair: Pair) -> None:
    session_id, approval, _ = await pair.held()
    await pair.two.cancel(session_id, "")
    async with refused() as refusal:
        await pair.one.decide(approval)
    assert (refusal().reason, refusal().metadata["outcome"]) == ("APPROVAL_RESOLVED", "CANCELLED")
    assert not (await pair.resolution(session_id)).released


async def test_a_decision_after_the_session_was_deleted_elsewhere(pair: Pair) -> None:
    session_id, approval, _ = await pair.held()
    await pair.two.delete(session_id)
    for client in (pair.one, pair.two):
        async with refused() as refusal:
            await client.decide(approval)
        assert refusal().reason == "SESSION_NOT_FOUND"


async def test_a_decision_after_another_agent_was_chosen_elsewhere(pair: Pair) -> None:
    """The call keeps the rights of the agent that made it; so does what a person makes of it."""
    session_id, approval, _ = await pair.held()
    await pair.two.switch_agent(session_id, "ask")
    edits = json.dumps({"command": "make all"})
    decided = await pair.one.decide(approval, EDIT, edited_arguments_json=edits)
    assert decided.approval.released
    events = await follow(pair.two, session_id, decided.accepted_sequence - 1)
    assert ordered(events) == [["c1"]]


async def test_a_rule_made_at_one_server_decides_at_the_other(pair: Pair) -> None:
    session_id, approval, _ = await pair.held()
    rule = await pair.two.create_rule("execute_command", approval_rule_pb2.APPROVAL_EFFECT_DENY, session_id=session_id)
    async with refused() as refusal:
        await pair.one.decide(approval)
    assert list(refusal().fields) == ["decision.decision"]
    await pair.one.delete_rule(rule.id)
    assert (await pair.two.decide(approval)).approval.released


async def test_what_was_remembered_at_one_server_counts_at_the_other(pair: Pair) -> None:
    made = calls(write("a", "c1")), calls(write("b", "c2")), reply(text("done"))
    session_id, events = await begin(pair.one, pair.model, *made)
    await pair.two.decide(approvals_in(events)["c1"], remember=approval_pb2.REMEMBER_SESSION)
    assert ordered(await pair.one.tool_results(session_id, text_result("c1", "ok"))) == [["c2"]]


@pytest.mark.parametrize("expiry", ["reject", "release"])
async def test_an_approval_expires_once_whoever_looks_and_whoever_decides(
    postgres: PostgresServer, shared_model: ScriptedModel, expiry: str
) -> None:
    settings = {"TURNS__APPROVAL_WAIT": "1", "TURNS__APPROVAL_EXPIRY": expiry}
    async with AsyncExitStack() as stack:
        pair = await _pair(stack, postgres, shared_model, settings)
        for round_ in range(3):
            made = calls(write("a", "c1")), reply(text("done"), repeat=True)
            session_id, events = await begin(pair.one, pair.model, *made)
            approval = approvals_in(events)["c1"]
            await asyncio.sleep(0.9 + 0.1 * round_)
            attempts = pair.one.decide(approval, REJECT), pair.two.decide(approval)
            outcomes = await asyncio.gather(*attempts, return_exceptions=True)
            await follow(pair.one, session_id, events[-1].sequence)
            resolved = await pair.resolution(session_id)
            state = approval_pb2.ApprovalState.Name(resolved.outcome).removeprefix("APPROVAL_STATE_")
            for outcome in outcomes:
                if isinstance(outcome, grpc.aio.AioRpcError):
                    refusal = refusal_of(outcome)
                    assert (refusal.reason, refusal.metadata["outcome"]) == ("APPROVAL_RESOLVED", state)
                else:
                    assert not isinstance(outcome, BaseException)
                    assert outcome.approval.state == resolved.outcome
            if resolved.outcome == approval_pb2.APPROVAL_STATE_EXPIRED:
                assert resolved.released == (expiry == "release")
            assert len(ordered(await pair.two.log(session_id))) == resolved.released
