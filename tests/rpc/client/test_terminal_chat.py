"""The chat as a person sees it, in a real terminal, and as a script calls it."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from agent_runtime.v1.agent_context_pb2 import AGENT_SWITCH_SOURCE_ROUTER, ROUTING_CONFIDENCE_HIGH
from agent_runtime.v1.answer_event_pb2 import AgentSwitched, MessageAdded, ReasoningDelta, TextDelta
from agent_runtime.v1.approval_pb2 import (
    APPROVAL_STATE_APPROVED,
    APPROVAL_STATE_REJECTED,
    DECISION_APPROVE,
    DECISION_APPROVE_WITH_EDITS,
    DECISION_REJECT,
    Approval,
)
from agent_runtime.v1.approval_service_pb2 import DecideApprovalRequest
from agent_runtime.v1.input_pb2 import ToolResult
from agent_runtime.v1.message_pb2 import MESSAGE_ROLE_ASSISTANT, MESSAGE_ROLE_TOOL, Message
from agent_runtime.v1.tool_event_pb2 import (
    ApprovalRequested,
    ApprovalResolved,
    FollowupAsked,
    FollowupOption,
    ToolCallsRequested,
)
from agent_runtime.v1.tool_pb2 import ToolCall
from agent_runtime.v1.turn_event_pb2 import TurnCompleted, TurnFailed, TurnPaused, TurnStarted
from agent_runtime.v1.turn_pb2 import FINISH_REASON_ATTEMPT_COMPLETION, WAIT_REASON_APPROVAL, WAIT_REASON_FOLLOWUP
from agent_runtime.v1.usage_pb2 import Usage
from tests.rpc.client.fake_runtime import FakeRuntime, Input, serving
from tests.rpc.client.terminal import clean_environment, terminal

CHAT = ("-m", "client.chat")
DECISIONS = (DECISION_APPROVE, DECISION_APPROVE_WITH_EDITS, DECISION_REJECT)


def write(content: str) -> ToolCall:
    arguments = json.dumps({"path": "greet.py", "content": content})
    return ToolCall(id="w", name="write_file", arguments_json=arguments)


async def writes_a_file(runtime: FakeRuntime, what: Input) -> None:
    """A turn that thinks, writes a file with approval, and declares its result."""
    if isinstance(what, DecideApprovalRequest):
        approved = what.decision.decision != DECISION_REJECT
        outcome = APPROVAL_STATE_APPROVED if approved else APPROVAL_STATE_REJECTED
        await runtime.happens(approval_resolved=ApprovalResolved(approval_id="p", outcome=outcome, released=approved))
        if approved:
            call = write('print("hello")\n')
            call.arguments_json = what.decision.edited_arguments_json or call.arguments_json
            await runtime.happens(tool_calls_requested=ToolCallsRequested(calls=[call]))
        else:
            await done(runtime, "Nothing was written.")
    elif what.HasField("user_message"):
        await runtime.happens(turn_started=TurnStarted(agent="orchestrator"))
        await runtime.happens(
            agent_switched=AgentSwitched(
                to_agent="coder",
                reason="wants code",
                source=AGENT_SWITCH_SOURCE_ROUTER,
                confidence=ROUTING_CONFIDENCE_HIGH,
            )
        )
        await runtime.happens(reasoning_delta=ReasoningDelta(message_id="m", text="Look first."))
        for word in ("I ", "will ", "greet ", "the \x1b[31mworld."):
            await runtime.happens(text_delta=TextDelta(message_id="m", text=word))
        call = write('print("hello")\n')
        message = Message(id="m", role=MESSAGE_ROLE_ASSISTANT, agent="coder", content="…", tool_calls=[call])
        await runtime.happens(message_added=MessageAdded(message=message))
        approval = Approval(
            id="p",
            agent="coder",
            tool_name="write_file",
            tool_call_id="w",
            arguments_json=call.arguments_json,
            arguments_hash="hash",
            reason="writing asks by default",
            available_decisions=DECISIONS,
        )
        await runtime.happens(approval_requested=ApprovalRequested(approval=approval))
        await runtime.happens(turn_paused=TurnPaused(waiting_for=[WAIT_REASON_APPROVAL]))
    elif what.HasField("tool_results"):
        result: ToolResult = what.tool_results.results[0]
        message = Message(role=MESSAGE_ROLE_TOOL, name="write_file", tool_call_id="w", content=result.json)
        await runtime.happens(message_added=MessageAdded(message=message))
        await done(runtime, "Wrote `greet.py`.")


async def done(runtime: FakeRuntime, result: str) -> None:
    usage = Usage(prompt_tokens=1234, completion_tokens=56)
    finish = FINISH_REASON_ATTEMPT_COMPLETION
    await runtime.happens(turn_completed=TurnCompleted(finish_reason=finish, result_text=result, usage=usage))


async def asks_which(runtime: FakeRuntime, what: Input) -> None:
    """A turn that asks a question."""
    assert not isinstance(what, DecideApprovalRequest)
    if what.HasField("user_message"):
        options = [FollowupOption(id="o1", label="tabs"), FollowupOption(id="o2", label="spaces", description="better")]
        asked = FollowupAsked(followup_id="f", question="Which?", options=options, free_text_allowed=True)
        await runtime.happens(followup_asked=asked)
        await runtime.happens(turn_paused=TurnPaused(waiting_for=[WAIT_REASON_FOLLOWUP], followup_id="f"))
    else:
        await done(runtime, "Noted.")


async def one_shot(address: str, workspace: Path, *arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *CHAT, "--address", address, "--workspace", str(workspace), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=clean_environment(),
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_person_reads_approves_and_leaves(tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text("print('hi')\n")
    runtime = FakeRuntime(writes_a_file)
    async with serving(runtime) as address, terminal(*CHAT, "--address", address, "--workspace", str(tmp_path)) as it:
        await it.shows("/help shows what else can be typed")
        await it.shows("you ▸ ")
        await it.type("greet the world\r")
        await it.shows("→ coder (router, high confidence): wants code")
        await it.shows("coder ▸ Look first.")
        await it.shows("I will greet the \\x1b[31mworld.")
        await it.shows("coder wants to change greet.py")
        await it.shows("writing asks by default")
        await it.shows("-print('hi')")
        await it.shows('+print("hello")')
        await it.shows("[y]es  [n]o  [e]dit ▸ ")
        await it.type("y\r")
        await it.shows("approved")
        await it.shows("✓ write_file greet.py · 15 bytes, changed")
        await it.shows("coder ▸ done")
        await it.shows("Wrote greet.py.")
        await it.shows("coder · 1,234 tokens in, 56 out")
        await it.shows("you ▸ ")
        await it.type("\x04")
        await it.shows("come back with --session s1")
        assert await it.end() == 0
    assert (tmp_path / "greet.py").read_text() == 'print("hello")\n'
    assert runtime.decisions[0].decision.arguments_hash == "hash"


async def test_a_person_rejects_with_a_reason(tmp_path: Path) -> None:
    runtime = FakeRuntime(writes_a_file)
    async with serving(runtime) as address, terminal(*CHAT, "--address", address, "--workspace", str(tmp_path)) as it:
        await it.shows("you ▸ ")
        await it.type("greet the world\r")
        await it.shows("coder wants to create greet.py")
        await it.shows("▸ ")
        await it.type("n\r")
        await it.shows("why?")
        await it.type("wrong file\r")
        await it.shows("rejected")
        await it.shows("Nothing was written.")
        await it.shows("you ▸ ")
        await it.type("/quit\r")
        assert await it.end() == 0
    assert runtime.decisions[0].decision.feedback == "wrong file"
    assert not (tmp_path / "greet.py").exists()


async def test_a_person_edits_what_is_written(tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/hello/goodbye/ "$1"\n')
    editor.chmod(0o755)
    (tmp_path / "work").mkdir()
    runtime = FakeRuntime(writes_a_file)
    chat = (*CHAT, "--workspace", str(tmp_path / "work"))
    async with serving(runtime) as address, terminal(*chat, "--address", address, VISUAL=str(editor)) as it:
        await it.shows("you ▸ ")
        await it.type("greet the world\r")
        await it.shows("[e]dit ▸ ")
        await it.type("e\r")
        await it.shows('+print("goodbye")')
        await it.shows("[e]dit ▸ ")
        await it.type("y\r")
        await it.shows("✓ write_file greet.py")
        await it.shows("you ▸ ")
        await it.type("\x04")
        assert await it.end() == 0
    assert runtime.decisions[0].decision.decision == DECISION_APPROVE_WITH_EDITS
    assert (tmp_path / "work/greet.py").read_text() == 'print("goodbye")\n'


async def test_ctrl_c_cancels_the_turn_and_not_the_chat(tmp_path: Path) -> None:
    async def never_ends(runtime: FakeRuntime, _: Input) -> None:
        await runtime.happens(text_delta=TextDelta(message_id="m", text="and so on"))

    runtime = FakeRuntime(never_ends)
    async with serving(runtime) as address, terminal(*CHAT, "--address", address, "--workspace", str(tmp_path)) as it:
        await it.shows("you ▸ ")
        await it.type("half a line")
        await it.shows("half a line")
        await it.type("\x03")
        await it.shows("(Ctrl-D or /quit leaves)")
        await it.shows("you ▸ ")
        await it.type("go\r")
        await it.shows("and so on")
        await it.type("\x03")
        await it.shows("■ cancelled")
        await it.shows("you ▸ ")
        await it.type("\x04")
        assert await it.end() == 0
    assert len(runtime.cancelled) == 1


async def test_a_person_chooses_an_answer(tmp_path: Path) -> None:
    runtime = FakeRuntime(asks_which)
    async with serving(runtime) as address, terminal(*CHAT, "--address", address, "--workspace", str(tmp_path)) as it:
        await it.shows("you ▸ ")
        await it.type("format it\r")
        await it.shows("? Which?")
        await it.shows("2. spaces: better")
        await it.shows("1 to 2, or your own words ▸ ")
        await it.type("2\r")
        await it.shows("Noted.")
        await it.shows("you ▸ ")
        await it.type("\x04")
        assert await it.end() == 0
    assert runtime.inputs[1].followup_answer.option_id == "o2"


async def test_a_script_gets_the_answer_alone(tmp_path: Path) -> None:
    runtime = FakeRuntime(writes_a_file)
    async with serving(runtime) as address:
        code, out, err = await one_shot(address, tmp_path, "--message", "greet the world", "--yes")
    assert (code, out) == (0, "Wrote `greet.py`.\n")
    assert "✓ write_file greet.py" in err
    assert (tmp_path / "greet.py").exists()


async def test_a_script_approves_nothing_unless_told_to(tmp_path: Path) -> None:
    runtime = FakeRuntime(writes_a_file)
    async with serving(runtime) as address:
        code, out, _ = await one_shot(address, tmp_path, "--message", "greet the world")
    assert (code, out) == (0, "Nothing was written.\n")
    assert "nobody is here to approve" in runtime.decisions[0].decision.feedback
    assert not (tmp_path / "greet.py").exists()


async def test_a_script_never_approves_what_hides_something(tmp_path: Path) -> None:
    async def plot(runtime: FakeRuntime, what: Input) -> None:
        hidden = FakeRuntime(writes_a_file)
        await writes_a_file(hidden, what)
        for event in hidden.log:
            kind = event.WhichOneof("payload")
            assert kind is not None
            if kind == "approval_requested":
                event.approval_requested.approval.has_hidden_characters = True
            await runtime.happens(**{kind: getattr(event, kind)})

    runtime = FakeRuntime(plot)
    async with serving(runtime) as address:
        await one_shot(address, tmp_path, "--message", "greet the world", "--yes")
    assert runtime.decisions[0].decision.decision == DECISION_REJECT
    assert "hidden characters" in runtime.decisions[0].decision.feedback


async def test_a_script_answers_a_question_by_saying_that_nobody_is_there(tmp_path: Path) -> None:
    runtime = FakeRuntime(asks_which)
    async with serving(runtime) as address:
        code, _, _ = await one_shot(address, tmp_path, "--message", "format it")
    assert code == 0
    assert "Nobody is here" in runtime.inputs[1].followup_answer.text


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--message", " "), "--message must not be blank"),
        (("--yes",), "--yes goes with --message"),
        (("--workspace", "/no/such/place"), "is not a directory"),
        (("--address", ""), "where is the runtime?"),
        (("--colour", "red"), "unrecognized arguments"),
    ],
)
async def test_bad_usage_is_exit_code_2(tmp_path: Path, arguments: tuple[str, ...], why: str) -> None:
    code, out, err = await one_shot("127.0.0.1:1", tmp_path, *arguments)
    assert (code, out) == (2, "")
    assert why in err


async def test_a_turn_that_fails_is_exit_code_1(tmp_path: Path) -> None:
    async def fails(runtime: FakeRuntime, _: Input) -> None:
        await runtime.happens(turn_failed=TurnFailed(message="the model is away"))

    async with serving(FakeRuntime(fails)) as address:
        code, out, err = await one_shot(address, tmp_path, "--message", "hello")
    assert (code, out) == (1, "")
    assert "the model is away" in err
