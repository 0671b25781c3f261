"""Tools that the client brings along: offered as agents admit, checked by their schema, asked about by default."""

from __future__ import annotations

import json

import pytest

from agent_runtime.v1 import tool_pb2
from devtools.scripted_model import ScriptedModel, call, reply, text
from tests.support.refused_calls import wrong_fields
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import (
    CLASSIFYING,
    approvals_in,
    begin,
    calls,
    only,
    ordered,
    requests,
    results_read,
    tools_in,
)

SCHEMA = {
    "type": "object",
    "properties": {"line": {"type": "integer", "minimum": 1}},
    "required": ["line"],
    "additionalProperties": False,
}


def tool(name: str, *, read_only: bool = False) -> tool_pb2.ClientTool:
    return tool_pb2.ClientTool(
        name=name, description=f"what {name} does", parameters_json=json.dumps(SCHEMA), read_only=read_only
    )


LOOK, CHANGE = tool("look_at_screen", read_only=True), tool("press_key")
BOTH = {LOOK.name, CHANGE.name}


@pytest.mark.parametrize(
    ("agent", "offered"),
    [
        *(("coder", BOTH), ("universal", BOTH)),
        *(("architect", {LOOK.name}), ("debug", {LOOK.name}), ("ask", {LOOK.name})),
    ],
)
async def test_an_agent_is_offered_what_its_definition_admits(
    client: RuntimeClient, model: ScriptedModel, agent: str, offered: set[str]
) -> None:
    session_id, events = await begin(
        client,
        model,
        calls(call(CHANGE.name, {"line": 1}, id="c1"), call(LOOK.name, {"line": 1}, id="c2")),
        reply(text("done")),
        agent=agent,
        client_tools=[LOOK, CHANGE],
    )
    (request,) = await requests(model)
    assert tools_in(request) & BOTH == offered
    (sent,) = [each["function"] for each in request["tools"] if each["function"]["name"] == LOOK.name]
    assert (sent["description"], sent["parameters"]) == (LOOK.description, SCHEMA)
    assert ordered(events) == [["c2"]]  # what only reads needs nobody's permission
    assert ("c1" in approvals_in(events)) == (CHANGE.name in offered)
    assert list((await client.session(session_id)).client_tools) == [LOOK, CHANGE]


async def test_the_router_is_offered_none(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(
        reply(text('{"agent": "ask", "confidence": "high"}'), when=CLASSIFYING),
        reply(text("done")),
    )
    session = await client.new_session(client_tools=[LOOK, CHANGE])
    assert only(await client.ask(session.id, "hello"), "agent_switched").to_agent == "ask"
    assert [tools_in(request) & BOTH for request in await requests(model)] == [set(), {LOOK.name}]


@pytest.mark.parametrize("arguments", ["{}", '{"line": 0}', '{"line": "1"}', '{"line": 1, "x": 2}', "[]"])
async def test_its_schema_is_enforced(client: RuntimeClient, model: ScriptedModel, arguments: str) -> None:
    _, events = await begin(
        client, model, calls(call(LOOK.name, arguments, id="c1")), reply(text("I see")), client_tools=[LOOK]
    )
    assert "tool_calls_requested" not in kinds(events)
    assert "not run" in (await results_read(model))["c1"]
    assert events[-1].turn_completed.result_text == "I see"


@pytest.mark.parametrize("name", ["delete_file", "move_file"])
async def test_what_removes_files_asks_whatever_the_client_says(
    client: RuntimeClient, model: ScriptedModel, name: str
) -> None:
    schema = {"type": "object", "properties": {key: {"type": "string"} for key in ("path", "source", "destination")}}
    declared = tool_pb2.ClientTool(name=name, description="removes", parameters_json=json.dumps(schema), read_only=True)
    arguments = {"path": "a.py"} if name == "delete_file" else {"source": "a.py", "destination": "b.py"}
    _, events = await begin(client, model, calls(call(name, arguments, id="c1")), client_tools=[declared])
    assert ordered(events) == []
    assert approvals_in(events)["c1"].tool_name == name
    # A tool that always asks is never remembered, since five harmless ones would approve the sixth.
    assert approvals_in(events)["c1"].can_remember is (name != "delete_file")


async def test_a_tool_without_arguments_takes_none(client: RuntimeClient, model: ScriptedModel) -> None:
    ping = tool_pb2.ClientTool(name="ping", description="answers", read_only=True)
    session_id, events = await begin(
        client, model, calls(call("ping", {}, id="c1")), reply(text("done")), client_tools=[ping]
    )
    assert ordered(events) == [["c1"]]
    await client.tool_results(session_id, text_result("c1", "pong"))
    assert await results_read(model) == {"c1": "pong"}


@pytest.mark.parametrize("name", ["read_file", "execute_command", "switch_mode", "attempt_completion"])
async def test_a_built_in_name_is_refused(client: RuntimeClient, model: ScriptedModel, name: str) -> None:
    assert list(await wrong_fields(client.new_session(client_tools=[LOOK, tool(name)]))) == ["client_tools[1].name"]
    session = await client.new_session()
    changed = client.update(session.id, client_tools=tool_pb2.ClientToolSet(tools=[tool(name)]))
    assert list(await wrong_fields(changed)) == ["client_tools.tools[0].name"]


async def test_a_change_counts_from_the_next_model_call_on(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client,
        model,
        calls(call(LOOK.name, {"line": 1}, id="c1")),
        calls(call(LOOK.name, {"line": 2}, id="c2")),
        reply(text("done")),
        client_tools=[LOOK],
    )
    assert ordered(events) == [["c1"]]
    other = tool("other", read_only=True)
    await client.update(session_id, client_tools=tool_pb2.ClientToolSet(tools=[other]))
    events = await client.tool_results(session_id, text_result("c1", "seen"))  # the open call keeps its right
    assert events[-1].turn_completed.result_text == "done"
    first, second, _ = await requests(model)
    assert tools_in(first) - tools_in(second) == {LOOK.name}
    assert tools_in(second) - tools_in(first) == {"other"}
    results = await results_read(model)
    assert results["c1"] == "seen"
    assert "no such tool" in results["c2"]
