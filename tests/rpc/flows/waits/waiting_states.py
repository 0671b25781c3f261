"""The states in which a turn waits, as tests bring them about, and what takes each of them to its end."""

from __future__ import annotations

from dataclasses import dataclass

from devtools.scripted_model import Reply
from tests.support.runtime_client import Event, RuntimeClient, text_result
from tests.support.tool_turns import approvals_in, calls, command, question, read, write


@dataclass(frozen=True)
class WaitingState:
    """`answer` is what the model says to get there; `waiting_for` is how TURN_IN_PROGRESS names it."""

    answer: Reply
    waiting_for: str
    takes_messages: bool = False


STATES = {
    "results": WaitingState(calls(read("a", "c1"), read("b", "c2")), "TOOL_RESULTS"),
    "approval": WaitingState(calls(command("ls", "c1"), write("a", "c2")), "APPROVAL"),
    "both": WaitingState(calls(read("a", "c1"), write("b", "c2")), "TOOL_RESULTS,APPROVAL"),
    "question": WaitingState(calls(question("Sure?", "c1")), "FOLLOWUP", takes_messages=True),
    "everything": WaitingState(
        calls(read("a", "c1"), write("b", "c2"), question("Sure?", "c3")),
        "TOOL_RESULTS,APPROVAL,FOLLOWUP",
        takes_messages=True,
    ),
}


async def take_to_its_end(client: RuntimeClient, session_id: str, asked: list[Event]) -> list[Event]:
    """Decides, answers and sends whatever the turn waits for; the events of the last input."""
    for approval in approvals_in(asked).values():
        await client.decide(approval)
    events = asked
    if followup_id := asked[-1].turn_paused.followup_id:
        events = await client.answer(session_id, followup_id, text="yes")
    turn = (await client.turn(session_id, asked[0].turn_id)).turn
    for call_id in turn.open_tool_call_ids:
        events = await client.tool_results(session_id, text_result(call_id, "ok"))
    return events
