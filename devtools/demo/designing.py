"""The third scene: a design, by an agent that may write documents and tries more than that."""

from __future__ import annotations

from agent_runtime.v1.agent_context_pb2 import AGENT_SWITCH_SOURCE_FALLBACK
from devtools.demo.events import only, payloads
from devtools.demo.explaining import hand_back
from devtools.demo.script import DESIGN, DESIGN_PATH, DESIGN_RESULT, DESIGN_TEXT, REFUSED_PATHS
from devtools.demo.stage import Stage
from devtools.demo.verdicts import Promise


async def design(stage: Stage) -> None:
    """From the request to the document. Raises StoryBrokenError if the turn takes another way."""
    dialogue, verdicts = stage.dialogue, stage.verdicts
    await hand_back(stage)
    events = await dialogue.say(DESIGN)
    switch = only(events, "agent_switched")
    verdicts.check(
        Promise.ROUTING,
        (switch.to_agent, switch.source) == ("architect", AGENT_SWITCH_SOURCE_FALLBACK),
        f"nonsense from the model, and the keywords chose {switch.to_agent}",
    )
    approval = only(events, "approval_requested").approval
    refused = [result for result in payloads(events, "tool_result_recorded") if result.is_error]
    verdicts.check(
        Promise.FILE_RULES,
        len(refused) == len(REFUSED_PATHS) and not payloads(events, "tool_calls_requested"),
        "each other path was refused, and nothing was ordered",
    )
    dialogue.show(approval)
    events = await dialogue.approve(approval)
    [result] = await dialogue.run(only(events, "tool_calls_requested").calls)
    events = await dialogue.report(result)
    verdicts.check(Promise.FILE_RULES, stage.project.text(DESIGN_PATH) == DESIGN_TEXT, "the document is there")
    verdicts.check(
        Promise.FILE_RULES,
        not any(stage.project.text(path) for path in REFUSED_PATHS),
        "no file is where it must not be",
    )
    verdicts.check(
        Promise.RESULT, only(events, "turn_completed").result_text == DESIGN_RESULT, "the result architect declared"
    )
