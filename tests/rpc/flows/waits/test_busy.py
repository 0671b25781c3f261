"""While a turn waits, a message is refused with what it waits for, unless it is the answer to a question."""

from __future__ import annotations

import grpc
import pytest

from devtools.scripted_model import ScriptedModel, reply, text
from tests.rpc.flows.waits.waiting_states import STATES, take_to_its_end
from tests.support.runtime_client import RuntimeClient, refused
from tests.support.tool_turns import begin


@pytest.mark.parametrize("state", [name for name, state in STATES.items() if not state.takes_messages])
async def test_a_message_is_refused_and_told_what_is_waited_for(
    client: RuntimeClient, model: ScriptedModel, state: str
) -> None:
    session_id, events = await begin(client, model, STATES[state].answer, reply(text("done")))
    for agent in (None, "ask"):
        async with refused() as refusal:
            await client.ask(session_id, "and another thing", agent=agent)
        assert (refusal().code, refusal().reason) == (grpc.StatusCode.ABORTED, "TURN_IN_PROGRESS")
        assert refusal().metadata["turn_id"] == events[0].turn_id
        assert refusal().metadata["turn_state"] == "PAUSED"
        assert refusal().metadata["waiting_for"] == STATES[state].waiting_for
    assert await client.log(session_id) == events
    assert (await client.session(session_id)).current_agent == "coder"
    assert (await take_to_its_end(client, session_id, events))[-1].turn_completed.result_text == "done"


@pytest.mark.parametrize("state", STATES)
async def test_a_history_with_open_calls_is_not_cleared(
    client: RuntimeClient, model: ScriptedModel, state: str
) -> None:
    session_id, events = await begin(client, model, STATES[state].answer, reply(text("done")))
    for attempt in (client.clear(session_id), client.deactivate(session_id)):
        async with refused() as refusal:
            await attempt
        assert refusal().reason == "TURN_IN_PROGRESS"
        assert refusal().metadata["waiting_for"] == STATES[state].waiting_for
    assert (await take_to_its_end(client, session_id, events))[-1].turn_completed.result_text == "done"
