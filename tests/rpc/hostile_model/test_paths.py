"""No spelling of a path gets a file written that its agent may not write, or anything touched outside the workspace."""

from __future__ import annotations

import json

import pytest

from agent_runtime.v1 import tool_pb2
from devtools.scripted_model import ScriptedModel, call, reply, text
from devtools.scripted_model.script import Call
from tests.support.hostile_paths import MARKDOWN, NOT_MARKDOWN, UNACCEPTABLE
from tests.support.runtime_client import RuntimeClient, kinds
from tests.support.tool_turns import approvals_in, begin, calls, payloads, results_read

_BATCH = 32  # the most calls of one answer
_ANYTHING = json.dumps({"type": "object"})
# Whatever the client says of them, these change files.
_MOVING = [
    tool_pb2.ClientTool(name=name, description="changes files", parameters_json=_ANYTHING, read_only=True)
    for name in ("delete_file", "move_file")
]
_PLACES = {
    "read_file": ({}, "path"),
    "write_file": ({"content": "x"}, "path"),
    "list_files": ({}, "path"),
    "list_files pattern": ({}, "pattern"),
    "create_directory": ({}, "path"),
    "search_in_code": ({"query": "x"}, "path"),
    "search_in_code file_pattern": ({"query": "x"}, "file_pattern"),
    "execute_command": ({"command": "ls"}, "cwd"),
    "delete_file": ({}, "path"),
    "move_file": ({"destination": "b.md"}, "source"),
    "move_file destination": ({"source": "a.md"}, "destination"),
}


def _called(place: str, paths: list[str]) -> list[list[Call]]:
    """Calls that name these paths in this place, in as many answers as it takes."""
    others, argument = _PLACES[place]
    tool = place.split()[0]
    made = [
        # Half characters can only be written as escapes.
        call(tool, json.dumps(others | {argument: path}), id=f"c{number}")
        for number, path in enumerate(paths)
    ]
    return [made[start : start + _BATCH] for start in range(0, len(made), _BATCH)]


async def _nothing_happens(client: RuntimeClient, model: ScriptedModel, answers: list[list[Call]], agent: str) -> None:
    session_id, events = await begin(
        client,
        model,
        *(calls(*made) for made in answers),
        reply(text("I see")),
        agent=agent,
        client_tools=_MOVING,
    )
    assert not {"tool_calls_requested", "approval_requested", "turn_paused"} & set(kinds(events))
    recorded = payloads(events, "tool_result_recorded")
    assert [each.tool_call_id for each in recorded] == [each.id for made in answers for each in made]
    assert all(each.is_error for each in recorded)
    assert events[-1].turn_completed.result_text == "I see"
    assert all("not run" in said for said in (await results_read(model)).values())
    assert (await client.ask(session_id, "and on"))[-1].HasField("turn_completed")
    assert (await model.counts())["refused"] == 0


async def test_the_architect_writes_nothing_but_markdown(client: RuntimeClient, model: ScriptedModel) -> None:
    paths = [*NOT_MARKDOWN, *UNACCEPTABLE]
    assert len(paths) >= 60
    await _nothing_happens(client, model, _called("write_file", paths), "architect")


@pytest.mark.parametrize("place", _PLACES)
async def test_no_tool_reaches_outside_the_workspace(client: RuntimeClient, model: ScriptedModel, place: str) -> None:
    # Where nothing is said the workspace is meant, and no pattern is no pattern.
    paths = [path for path in UNACCEPTABLE if path]
    await _nothing_happens(client, model, _called(place, paths), "coder")


async def test_the_architect_may_ask_for_any_markdown(client: RuntimeClient, model: ScriptedModel) -> None:
    (made,) = _called("write_file", MARKDOWN)
    _, events = await begin(client, model, calls(*made), agent="architect")
    assert approvals_in(events).keys() == {each.id for each in made}
    assert "tool_calls_requested" not in kinds(events)
