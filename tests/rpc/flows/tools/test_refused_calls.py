"""A call that must not run never leaves the runtime: the model is told why, and gets to answer."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import tool_event_pb2
from devtools.scripted_model import ScriptedModel, call, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, text_result
from tests.support.tool_turns import begin, calls, only, open_calls, ordered, payloads, read, results_read

BAD_CALLS = {
    "no JSON": ("read_file", '{"path": ', "JSON"),
    "nothing": ("read_file", "", "empty"),
    "a key twice": ("read_file", '{"path": "a", "path": "b"}', "twice"),
    "a nested key twice": ("read_file", '{"path": "a", "x": {"y": 1, "y": 2}}', "twice"),
    "NaN": ("read_file", '{"path": "a", "start_line": NaN}', "NaN"),
    "infinity": ("read_file", '{"path": "a", "start_line": 1e999}', "range"),
    "a list": ("read_file", '["a"]', "object"),
    "a text": ("read_file", '"a"', "object"),
    "two objects": ("read_file", '{"path": "a"}{"path": "b"}', "JSON"),
    "half a character": ("read_file", '{"path": "\\ud800"}', "character"),
    "a wrong type": ("read_file", '{"path": 5}', "path"),
    "true for a number": ("read_file", '{"path": "a", "start_line": true}', "start_line"),
    "a number as text": ("read_file", '{"path": "a", "start_line": "1"}', "start_line"),
    "a key too many": ("read_file", '{"path": "a", "mode": "r"}', "mode"),
    "a key too few": ("read_file", "{}", "path"),
    "too long a wait": ("execute_command", '{"command": "ls", "timeout": 301}', "300"),
    "a blank command": ("execute_command", '{"command": "  "}', "command"),
    "too many results": ("search_in_code", '{"query": "x", "max_results": 1001}', "1000"),
    "the old name of a key": ("search_in_code", '{"pattern": "x"}', "pattern"),
    "one suggestion": ("ask_followup_question", '{"question": "?", "suggestions": ["a"]}', "suggestions"),
    "five suggestions": (
        "ask_followup_question",
        '{"question": "?", "suggestions": ["1", "2", "3", "4", "5"]}',
        "suggestions",
    ),
    "a blank result": ("attempt_completion", '{"result": " "}', "result"),
    "a path that leads out": ("read_file", '{"path": "../secret"}', "workspace"),
    "a pattern that leads out": ("list_files", '{"pattern": "../*"}', "workspace"),
    "a folder that leads out": ("execute_command", '{"command": "ls", "cwd": "/"}', "workspace"),
    "a tool nobody has": ("open_file", '{"path": "a"}', "no such tool"),
    "a tool nobody declared": ("delete_file", '{"path": "a"}', "no such tool"),
    "a name that is none": ("read file!", '{"path": "a"}', "no such tool"),
}


@pytest.mark.parametrize("kind", BAD_CALLS)
async def test_a_bad_call_is_answered_to_the_model_and_shown_to_nobody(
    client: RuntimeClient, model: ScriptedModel, kind: str
) -> None:
    name, arguments, why = BAD_CALLS[kind]
    session_id, events = await begin(client, model, calls(call(name, arguments, id="c1")), reply(text("I see")))
    recorded = only(events, "tool_result_recorded")
    assert (recorded.tool_call_id, recorded.is_error) == ("c1", True)
    assert recorded.source == tool_event_pb2.TOOL_RESULT_SOURCE_RUNTIME
    assert not {"tool_calls_requested", "approval_requested", "followup_asked", "turn_paused"} & set(kinds(events))
    assert why.lower() in (await results_read(model))["c1"].lower()
    assert events[-1].turn_completed.result_text == "I see"
    written = (await client.list_messages(session_id)).messages[1].tool_calls[0]
    assert (written.id, written.arguments_json) == ("c1", arguments)


async def test_good_calls_beside_a_bad_one_run(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client,
        model,
        calls(read("a", "c1"), call("read_file", "{", id="c2"), read("b", "c3")),
        reply(text("two of three")),
    )
    assert ordered(events) == [["c1", "c3"]]
    assert [each.call.id for each in await open_calls(client, session_id)] == ["c1", "c3"]
    await client.tool_results(session_id, text_result("c1", "A"))
    events = await client.tool_results(session_id, text_result("c3", "B"))
    assert events[-1].turn_completed.result_text == "two of three"
    results = await results_read(model)
    assert (results["c1"], results["c3"]) == ("A", "B")
    assert "JSON" in results["c2"]


async def test_a_model_that_errs_again_and_again_may_go_on(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, *(calls(call("nope", "{}", id=f"c{number}")) for number in range(4)), reply(text("in words"))
    )
    assert events[-1].turn_completed.result_text == "in words"
    assert [each.tool_call_id for each in payloads(events, "tool_result_recorded")] == ["c0", "c1", "c2", "c3"]
    assert (await client.list_turns(session_id)).turns[0].model_calls == 5


@pytest.mark.parametrize("name", ["attempt_completion", "switch_mode"])
async def test_a_character_no_database_can_hold_breaks_no_turn(
    client: RuntimeClient, model: ScriptedModel, name: str
) -> None:
    words = "all\0done"  # as the escape that JSON has for it
    arguments = {"result": words} if name == "attempt_completion" else {"mode": "ask", "reason": words}
    _, events = await begin(client, model, calls(call(name, arguments, id="c1")), reply(text("fine")), agent="debug")
    assert kinds(events)[-1] == "turn_completed"
    assert kinds(events).count("tool_result_recorded") == 1
