"""What a session knows of its agents' work: facts from results that succeeded, and nothing else."""

from __future__ import annotations

from agent_runtime.v1 import agent_context_pb2, approval_pb2
from devtools.scripted_model import ScriptedModel, reply, text
from tests.support.runtime_client import RuntimeClient, json_result, text_result
from tests.support.tool_turns import agent_context, approvals_in, begin, calls, command, read, write


async def test_facts_come_from_what_tools_report(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client,
        model,
        calls(write("src/new.py", "c1"), write("./src//old.py", "c2")),
        calls(command("make test", "c3"), command("grep error log", "c4")),
        reply(text("done")),
    )
    for approval in approvals_in(events).values():
        await client.decide(approval)
    events = await client.tool_results(
        session_id, json_result("c1", {"created": True}), json_result("c2", {"created": False})
    )
    for approval in approvals_in(events).values():
        await client.decide(approval)
    failed_build = {"exit_code": 2, "stdout": "success", "stderr": ""}
    await client.tool_results(session_id, json_result("c3", failed_build), text_result("c4", "error: no error"))
    coder = (await agent_context(client, session_id)).coder
    assert list(coder.files_created) == ["src/new.py"]
    assert list(coder.files_modified) == ["src/old.py"]
    ran = [(each.command, each.exit_code if each.HasField("exit_code") else None) for each in coder.commands_executed]
    assert ran == [("make test", 2), ("grep error log", None)]
    assert all(each.HasField("execute_time") for each in coder.commands_executed)
    assert coder.last_compilation_state == agent_context_pb2.COMPILATION_STATE_FAILED
    watch = client.watch(session_id, snapshot=True, stop_at_head=True)
    (snapshot,) = [item.snapshot async for item in watch if item.HasField("snapshot")]
    assert snapshot.agent_context == await agent_context(client, session_id)


async def test_documents_are_the_architects_and_logs_the_debuggers(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client,
        model,
        calls(write("docs/plan.md", "c1")),
        reply(text("designed")),
        calls(read("logs/app.log", "c2"), read("app.py", "c3")),
        reply(text("found")),
        agent="architect",
    )
    await client.decide(approvals_in(events)["c1"])
    await client.tool_results(session_id, json_result("c1", {"created": True}))
    await client.ask(session_id, "look", agent="debug")
    await client.tool_results(session_id, text_result("c2", "E"), text_result("c3", "x"))
    context = await agent_context(client, session_id)
    assert list(context.architect.documents_created) == ["docs/plan.md"]
    assert list(context.debug.logs_analyzed) == ["logs/app.log"]
    assert list(context.coder.files_created) == []
    assert (await client.reset_agent(session_id)).agent_context.architect == context.architect  # facts stay


async def test_what_failed_or_was_rejected_is_no_fact(client: RuntimeClient, model: ScriptedModel) -> None:
    session_id, events = await begin(
        client, model, calls(write("a.py", "c1"), write("b.py", "c2")), reply(text("sorry"))
    )
    asked = approvals_in(events)
    await client.decide(asked["c1"], approval_pb2.DECISION_REJECT)
    await client.decide(asked["c2"])
    await client.tool_results(session_id, text_result("c2", "disk full", is_error=True))
    context = await agent_context(client, session_id)
    assert context.coder == agent_context_pb2.CoderContext()
