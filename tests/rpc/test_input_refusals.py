"""Inputs of SendMessage that cannot be taken: refused with every wrong field named, and nothing is done (G10)."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from agent_runtime.v1 import approval_pb2, input_pb2, turn_pb2
from devtools.scripted_model import ScriptedModel
from tests.support.refused_calls import not_yet, send, wrong_fields
from tests.support.runtime_client import RuntimeClient, refused, text_result

HELLO = input_pb2.UserMessage(text="hello")


async def test_inputs_of_later_releases_are_refused_and_start_nothing(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session()
    message = input_pb2.UserMessage(text="hi", workspace_revision="1")
    await not_yet(send(client, session_id=session.id, user_message=message), "user_message.workspace_revision")
    assert await client.session(session.id) == session
    assert (await model.counts())["calls"] == 0


@pytest.mark.parametrize("words", ["", " ", "\n\t\u2003", "a\x00b", "x" * 262_145, "ж" * 131_073])
async def test_a_message_is_text_that_can_be_kept(client: RuntimeClient, model: ScriptedModel, words: str) -> None:
    session = await client.new_session()
    assert list(await wrong_fields(client.ask(session.id, words))) == ["user_message.text"]
    assert await client.session(session.id) == session


@pytest.mark.parametrize("words", ["x" * 262_144, "ж" * 131_072], ids=["ascii", "cyrillic"])
async def test_the_longest_message_is_taken_to_the_letter(
    client: RuntimeClient, model: ScriptedModel, words: str
) -> None:
    session = await client.new_session()
    assert (await client.ask(session.id, words))[-1].HasField("turn_completed")
    assert (await client.list_messages(session.id)).messages[0].content == words
    assert (await model.calls())[-1]["body"]["messages"][-1]["content"] == words


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"user_message": input_pb2.UserMessage(text="x", agent="")}, ["user_message.agent"]),
        ({"tool_results": input_pb2.ToolResults()}, ["tool_results.results"]),
        (
            {"tool_results": input_pb2.ToolResults(results=[text_result("a", "x"), text_result("a", "\x00")])},
            ["tool_results.results[1].text", "tool_results.results[1].tool_call_id"],
        ),
        (
            {"tool_results": input_pb2.ToolResults(results=[input_pb2.ToolResult(json="{]")])},
            ["tool_results.results[0].tool_call_id", "tool_results.results[0].json"],
        ),
        (
            {"approval_decision": input_pb2.ApprovalDecision(edited_arguments_json="{}")},
            [
                "approval_decision.approval_id",
                "approval_decision.arguments_hash",
                "approval_decision.decision",
                "approval_decision.edited_arguments_json",
            ],
        ),
        (
            {"followup_answer": input_pb2.FollowupAnswer(text=" ")},
            ["followup_answer.followup_id", "followup_answer.text"],
        ),
        (
            {
                "followup_answer": input_pb2.FollowupAnswer(followup_id="f", option_id="o"),
                "busy_policy": input_pb2.BUSY_POLICY_REJECT,
                "limits": turn_pb2.TurnLimits(),
            },
            ["busy_policy", "limits"],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_every_kind_of_input_is_held_to_its_form(
    client: RuntimeClient, model: ScriptedModel, fields: dict[str, Any], wrong: list[str]
) -> None:
    session = await client.new_session()
    assert list(await wrong_fields(send(client, session_id=session.id, **fields))) == wrong
    assert await client.session(session.id) == session


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        (
            {"user_message": input_pb2.UserMessage(text="x", agent="nobody")},
            grpc.StatusCode.NOT_FOUND,
            "AGENT_NOT_FOUND",
        ),
        (
            {"tool_results": input_pb2.ToolResults(results=[text_result("call_x", "")])},
            grpc.StatusCode.FAILED_PRECONDITION,
            "TOOL_CALL_NOT_OPEN",
        ),
        (
            {
                "approval_decision": input_pb2.ApprovalDecision(
                    approval_id="approval_x", arguments_hash="x", decision=approval_pb2.DECISION_APPROVE
                )
            },
            grpc.StatusCode.NOT_FOUND,
            "APPROVAL_NOT_FOUND",
        ),
        (
            {"followup_answer": input_pb2.FollowupAnswer(followup_id="followup_x", text="x")},
            grpc.StatusCode.FAILED_PRECONDITION,
            "TURN_NOT_ACTIVE",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_answer_to_what_nobody_asked_changes_nothing(
    client: RuntimeClient, model: ScriptedModel, fields: dict[str, Any], code: grpc.StatusCode, reason: str
) -> None:
    session = await client.new_session()
    async with refused() as refusal:
        await send(client, session_id=session.id, **fields)
    assert (refusal().code, refusal().reason) == (code, reason)
    assert await client.session(session.id) == session
    assert (await model.counts())["calls"] == 0


async def test_an_input_is_required_and_reattaching_needs_a_request_id(client: RuntimeClient) -> None:
    session = await client.new_session()
    assert list(await wrong_fields(send(client, session_id=session.id))) == ["input"]
    assert list(await wrong_fields(client.ask(session.id, "hi", after_sequence=0))) == ["request_id"]
    assert list(await wrong_fields(client.ask(session.id, "hi", request_id="r", after_sequence=-1))) == [
        "after_sequence"
    ]
    assert list(await wrong_fields(client.watch(session.id, after_sequence=-1).read())) == ["after_sequence"]
