"""The last scene: the whole log is looked at once more, by somebody who may not, and while the server stops."""

from __future__ import annotations

from agent_runtime.v1.message_service_pb2_grpc import MessageServiceStub
from agent_runtime.v1.session_stream_pb2 import WatchSessionRequest
from client.runtime_client import RuntimeClient
from devtools.demo.dialogue import refusal
from devtools.demo.events import as_bytes, is_numbered, not_once, payloads
from devtools.demo.script import SCRIPT
from devtools.demo.stage import Stage
from devtools.demo.verdicts import Promise


async def look_back(stage: Stage) -> None:
    """Compares what was seen with what is stored, and counts."""
    verdicts = stage.verdicts
    log = await stage.log()
    await stage.watcher.reached(log[-1].sequence)
    stored = as_bytes(log)
    verdicts.check(Promise.G1, as_bytes(stage.watcher.events) == stored, "a watcher from 0 saw the log")
    verdicts.check(Promise.G1, set(as_bytes(stage.dialogue.seen)) <= set(stored), "what the person saw is in the log")
    verdicts.check(
        Promise.G2, is_numbered(log) and is_numbered(stage.watcher.events), "the log, and the watcher's view"
    )
    more_or_less = not_once(log)
    verdicts.check(Promise.G6, not more_or_less, f"the whole log: {'; '.join(more_or_less) or 'all once'}")
    counts = await stage.model.counts()
    verdicts.check(Promise.G7, counts["refused"] == 0 and counts["calls"] == len(SCRIPT), f"calls: {counts}")


async def look_as_another(stage: Stage) -> None:
    """Somebody else asks for the session, by its right id."""
    session_id = stage.dialogue.session_id
    stranger = RuntimeClient(stage.channel, owner="somebody-else")
    approval_id = payloads(stage.watcher.events, "approval_requested")[0].approval.id
    for what, reason in (
        ("the session", await refusal(stranger.session(session_id))),
        ("its log", await refusal(anext(stranger.watch(session_id, after_sequence=0)))),
        ("its approvals", await refusal(stranger.approval(session_id, approval_id))),
    ):
        stage.verdicts.check(Promise.G8, reason == "SESSION_NOT_FOUND", f"{what}: {reason}")


async def stop(stage: Stage) -> None:
    """The server is asked to stop while a stream is open."""
    head = stage.watcher.events[-1].sequence
    request = WatchSessionRequest(session_id=stage.dialogue.session_id, after_sequence=head - 1)
    stream = aiter(MessageServiceStub(stage.channel).WatchSession(request))
    await anext(stream)  # the stream is open now
    exit_code = await stage.server.terminate()
    stage.verdicts.check(Promise.G9, exit_code == 0, f"exit code {exit_code}")
    last = await anext(stream, None)
    stage.verdicts.check(
        Promise.G9,
        last is not None and last.HasField("drain") and last.drain.resume_after_sequence == head,
        f"the stream's last item: {last}",
    )
