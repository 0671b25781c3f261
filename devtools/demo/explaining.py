"""The second scene: a question about the code, answered while the connection is cut."""

from __future__ import annotations

from agent_runtime.v1.agent_context_pb2 import AGENT_SWITCH_SOURCE_ROUTER
from agent_runtime.v1.agent_service_pb2 import ResetAgentRequest
from agent_runtime.v1.agent_service_pb2_grpc import AgentServiceStub
from agent_runtime.v1.input_pb2 import ToolResult, ToolResults
from agent_runtime.v1.session_event_pb2 import SessionEvent
from devtools.demo.events import as_bytes, is_numbered, only
from devtools.demo.script import ANSWER_AFTER_THE_CUT, ANSWER_BEFORE_THE_CUT, GATE, QUESTION
from devtools.demo.stage import Stage
from devtools.demo.verdicts import Promise

_CHANGING = frozenset({"write_file", "create_directory", "execute_command"})


async def explain(stage: Stage) -> None:
    """From the question to its answer. Raises StoryBrokenError if the turn takes another way."""
    await hand_back(stage)
    events = await stage.dialogue.say(QUESTION)
    switch = only(events, "agent_switched")
    stage.verdicts.check(
        Promise.ROUTING,
        (switch.to_agent, switch.source) == ("ask", AGENT_SWITCH_SOURCE_ROUTER),
        "the model sent the question to ask",
    )
    offered = {tool["function"]["name"] for tool in (await stage.last_model_request())["tools"]}
    stage.verdicts.check(Promise.READ_ONLY, "read_file" in offered and not offered & _CHANGING, f"offered: {offered}")
    [result] = await stage.dialogue.run(only(events, "tool_calls_requested").calls)
    await _answer_over_a_cut(stage, result)


async def hand_back(stage: Stage) -> None:
    """Gives the session back to the agent that routes."""
    request = ResetAgentRequest(session_id=stage.dialogue.session_id)
    reset = await AgentServiceStub(stage.channel).ResetAgent(request)
    stage.verdicts.check(
        Promise.ROUTING, reset.agent_context.current_agent == "orchestrator", "a reset hands back to the orchestrator"
    )


async def _answer_over_a_cut(stage: Stage, result: ToolResult) -> None:
    heard = ""
    cut_after = 0

    async def cut_in_the_middle(event: SessionEvent) -> None:
        nonlocal heard, cut_after
        heard += event.text_delta.text
        if heard != ANSWER_BEFORE_THE_CUT or cut_after:
            return
        cut_after = event.sequence
        finished = (await stage.model.counts())["finished"]
        stage.dialogue.note("the connection is cut here; the model goes on while nobody listens")
        stage.wire.cut()
        await stage.model.release(GATE)
        await stage.model.counts("finished", finished + 1)
        stage.wire.repair()

    comebacks = len(stage.comebacks)
    events = await stage.dialogue.send(ToolResults(results=[result]), after_each=cut_in_the_middle)
    verdicts = stage.verdicts
    verdicts.check(Promise.G2, cut_after > 0 and len(stage.comebacks) > comebacks, "the stream was cut and came back")
    verdicts.check(
        Promise.G2,
        heard == ANSWER_BEFORE_THE_CUT + ANSWER_AFTER_THE_CUT and is_numbered(events, events[0].sequence - 1),
        f"the whole answer, each number once: {heard!r}",
    )
    rest = [event for event in events if event.sequence > cut_after]
    verdicts.check(
        Promise.G2, as_bytes(await stage.log(cut_after)) == as_bytes(rest), "the stream after the cut is the log's rest"
    )
    verdicts.check(
        Promise.RESULT, only(events, "turn_completed").result_text == heard, "the answer is the turn's result"
    )
