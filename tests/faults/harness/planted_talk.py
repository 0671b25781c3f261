"""A talk in which every word is a sentinel: what people, models and tools say, well formed and not."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import grpc

from agent_runtime.v1 import approval_pb2, approval_rule_pb2, input_pb2
from devtools.scripted_model import (
    Reply,
    ScriptedModel,
    call,
    fault,
    gate,
    in_band_error,
    page,
    reasoning,
    reply,
    text,
    tool_calls,
)
from tests.faults.harness.sentinels import Sentinels
from tests.rpc.busy.words import withdraw
from tests.support.rpcs import RPCS
from tests.support.runtime_client import RuntimeClient, json_result, text_result
from tests.support.tool_turns import approvals_in, command, decide_here, follow, only, question, read, write


class Caller:
    """Talks to a server, and keeps all it is told when it is refused."""

    def __init__(self, planted: Sentinels) -> None:
        self.planted = planted
        self.refusals: list[str] = []

    def connect(self, channel: grpc.aio.Channel) -> None:
        """Speaks through this channel from now on, as the gateway, with its key."""
        self.channel = channel
        self.client = RuntimeClient(channel, "ann")
        self.client.metadata = (("authorization", f"Bearer {self.planted['service key']}"), ("x-owner-id", "ann"))

    async def refused(self, attempt: Awaitable[object]) -> None:
        """Makes a call that may fail, and keeps how it did."""
        try:
            await attempt
        except grpc.aio.AioRpcError as error:
            self.keep(error)

    def keep(self, error: grpc.aio.AioRpcError) -> None:
        """All that a caller can read of an error."""
        trailers = [f"{key}: {value!r}" for key, value in error.trailing_metadata() or ()]
        self.refusals.append("\n".join([str(error.code()), str(error.details()), *trailers]))


async def talk(caller: Caller, model: ScriptedModel) -> None:
    """One of everything."""
    await _strangers(caller)
    await _a_turn_with_tools(caller, model)
    await _messages_that_wait(caller, model)
    await _mistakes(caller)
    await _a_model_in_trouble(caller, model)


async def _strangers(caller: Caller) -> None:
    say, client = caller.planted, caller.client
    good = client.metadata
    bearer = "authorization"
    for metadata in (
        ((bearer, f"Bearer {say['token']}"),),
        ((bearer, f"Bearer {say['second service key']}"),),
        ((bearer, f"Bearer {say['key of a stranger']}"),),
        ((bearer, f"Bearer {say['token signed wrongly']}"),),
        ((bearer, f"Bearer eyJhbGciOiJub25lIn0.{say['token of a stranger']}."),),
        ((bearer, say["key of another"]),),
        (("x-api-key", say["key in a wrong header"]),),
        ((bearer, f"Bearer {say['key with a newline']} more"), (bearer, f"Bearer {say['service key']}")),
    ):
        client.metadata = metadata
        await caller.refused(client.list_sessions())
    client.metadata = good
    for rpc in RPCS:
        code, said = await rpc.hear(caller.channel, b"\xff\xff" + say["garbage"].encode(), tuple(good))
        caller.refusals.append(f"{code} {said!r}")


async def _a_turn_with_tools(caller: Caller, model: ScriptedModel) -> None:
    say, client = caller.planted, caller.client
    await model.play(
        reply(
            reasoning(say["reasoning"]),
            text(say["answer"]),
            tool_calls(
                write("a.py", "c1", say["content to write"]),
                write("b.py", "c2"),
                command(say["command"], "c3"),
                read(say["argument of a tool"], "c4"),
                call("read_file", "{" + say["arguments that are no json"], id="c5"),
            ),
        ),
        reply(tool_calls(question(say["question"], "c6"))),
        reply(text("done")),
    )
    session = await client.new_session(agent="coder", title=say["title"])
    await client.update(session.id, title=f"{say['second title']}\n\x1b[31m")
    rule = await client.create_rule(
        "read_file",
        approval_rule_pb2.APPROVAL_EFFECT_ALLOW,
        ("path", approval_rule_pb2.ARGUMENT_OPERATOR_EQ, say["value of a rule"]),
        session_id=session.id,
        description=say["rule"],
    )
    approvals = approvals_in(await client.ask(session.id, say["prompt"]))
    edited = f'{{"path": "b.py", "content": "{say["edited content"]}"}}'
    await caller.refused(client.decide(approvals["c1"], arguments_hash="0" * 64, feedback=say["feedback"]))
    await client.decide(approvals["c1"])
    await client.decide(approvals["c2"], approval_pb2.DECISION_APPROVE_WITH_EDITS, edited_arguments_json=edited)
    await decide_here(client, approvals["c3"], approval_pb2.DECISION_REJECT, feedback=say["feedback"])
    results = [
        text_result("c1", say["result of an error"], is_error=True),
        json_result("c2", {"said": say["result as json"]}),
        text_result("c4", f"{say['result']} {say['result of a file']}"),
        text_result("nobody", say["result nobody asked for"]),
    ]
    asked = await client.tool_results(session.id, *results)
    await client.answer(session.id, only(asked, "followup_asked").followup_id, text=say["chosen words"])
    await client.delete_rule(rule.id)
    await client.list_messages(session.id)
    await client.deactivate(session.id, reason=say["reason to deactivate"])
    await client.delete(session.id)


async def _messages_that_wait(caller: Caller, model: ScriptedModel) -> None:
    say, client = caller.planted, caller.client
    await model.play(reply(gate("busy"), text("done")), reply(text("done")))
    session = await client.new_session(agent="universal")
    await client.ask(session.id, say["second prompt"], detach=True)
    await model.held("busy")
    await caller.refused(client.ask(session.id, say["prompt refused"]))
    queue = input_pb2.BUSY_POLICY_QUEUE
    waiting = await client.ask(session.id, say["prompt that waits"], busy_policy=queue, detach=True)
    withdrawn = await client.ask(session.id, say["prompt that is withdrawn"], busy_policy=queue, detach=True)
    await withdraw(client, session.id, withdrawn[0].input_accepted.input_id)
    await model.release("busy")
    await follow(client, session.id, waiting[0].sequence)


async def _mistakes(caller: Caller) -> None:
    say, client = caller.planted, caller.client
    session = await client.new_session(agent="universal")
    wrong: tuple[dict[str, Any], ...] = (
        {"user_message": input_pb2.UserMessage(text=f"{say['prompt refused']}\0")},
        {"user_message": input_pb2.UserMessage(text=say["prompt refused"], agent=say["prompt refused"])},
        {"user_message": input_pb2.UserMessage(text=say["prompt refused"] * 20_000)},
        {"request_id": f"{say['prompt refused']} !", "user_message": input_pb2.UserMessage(text="x")},
        {"tool_results": input_pb2.ToolResults(results=[text_result("c9", say["result nobody asked for"])])},
        {"tool_results": input_pb2.ToolResults(results=[text_result("c9", say["result"] * 60_000)])},
        {"followup_answer": input_pb2.FollowupAnswer(followup_id="nothing", text=say["chosen words"])},
    )
    for fields in wrong:
        await caller.refused(_read(client.send_input(session.id, **fields)))
    for repeated in (say["prompt"], say["prompt refused"]):
        await caller.refused(client.ask(session.id, repeated, request_id="again"))
    await caller.refused(client.update(session.id, title=say["title"] * 100))
    await caller.refused(client.list_sessions(page_token=say["garbage"]))


async def _a_model_in_trouble(caller: Caller, model: ScriptedModel) -> None:
    say, client = caller.planted, caller.client
    echo = f"{say['echo of the provider']} {say['key of the model']} {say['key of a fallback']}"
    session = await client.new_session(agent="universal")
    for trouble in (
        Reply(status=401, body=f'{{"error": {{"message": "Incorrect key {echo}", "code": "bad_key"}}}}'),
        Reply(status=400, body=echo),
        Reply(status=500, body=f"Traceback {echo}", headers={"x-key": say["key of the model"]}),
        page(f"<html><body>{echo}</body></html>"),
        reply(text(say["answer broken off"]), in_band_error(echo, code=echo)),
        reply(text(say["answer broken off"]), fault=fault.reset_after(150)),
    ):
        await model.play(trouble, trouble, reply(text("better")))
        for event in await client.ask(session.id, say["prompt"]):
            if event.HasField("turn_failed"):
                caller.refusals.append(str(event.turn_failed))


async def _read(stream: Any) -> None:
    async for _ in stream:
        pass
