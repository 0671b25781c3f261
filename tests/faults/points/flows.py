"""The conversations that faults are put into: each walks a session through one kind of turn, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from agent_runtime.v1 import approval_pb2, input_pb2, turn_pb2
from agent_runtime.v1.approval_rule_pb2 import APPROVAL_EFFECT_ASK
from agent_runtime.v1.input_pb2 import PendingInput
from agent_runtime.v1.message_service_pb2 import WithdrawInputRequest
from tests.faults.points.caller import Caller
from tests.faults.points.deployment import Deployment
from tests.faults.points.failpoints import DELAY_SECONDS, Action, Fault, Position
from tests.faults.points.script import GATE, HELD, ROUTED_TO
from tests.support.runtime_client import Event, RuntimeClient, ended, kinds, text_of

AGENT = "universal"
QUEUE, STEER, INTERRUPT = (
    input_pb2.BUSY_POLICY_QUEUE,
    input_pb2.BUSY_POLICY_STEER,
    input_pb2.BUSY_POLICY_INTERRUPT,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Where a flow plays. `arm` puts the fault in place, for flows that must reach a certain state before."""

    deployment: Deployment
    caller: Caller
    session_id: str
    arm: Callable[[], None]

    async def create(self, agent: str = AGENT) -> None:
        """The session, through an id of the caller's own."""
        await self.caller.call(
            lambda client: client.new_session(session_id=self.session_id, agent=agent, request_id="create")
        )

    async def say(
        self, words: str, request_id: str = "say", policy: input_pb2.BusyPolicy.ValueType = input_pb2.BUSY_POLICY_REJECT
    ) -> list[Event]:
        """A user message and its stream."""
        message = input_pb2.UserMessage(text=words)
        return await self.caller.send(self.session_id, request_id, user_message=message, busy_policy=policy)

    async def say_until_held(self) -> str:
        """A user message whose answer stops in the middle; returns the turn's id once all before was seen."""
        message = input_pb2.UserMessage(text="go [held]")
        events = await self.caller.send_until(
            self.session_id, "say", lambda seen: HELD in text_of(seen) or ended(seen), user_message=message
        )
        return events[0].turn_id

    async def finish(self, events: list[Event]) -> list[Event]:
        """Gives the turn whatever it waits for, until it is over; returns its last stream."""
        while events and kinds(events)[-1] == "turn_paused":
            paused = events[-1].turn_paused
            if list(paused.waiting_for) == [turn_pb2.WAIT_REASON_BUDGET]:
                break
            calls = [self._result(call_id) for call_id in paused.open_tool_call_ids]
            decisions = [self._approve(approval_id) for approval_id in paused.pending_approval_ids]
            answers = [self._answer(paused.followup_id)] if paused.followup_id else []
            streams = await asyncio.gather(*calls, *decisions, *answers)
            events = max(streams, key=lambda stream: stream[-1].sequence)
        return events

    async def _result(self, call_id: str) -> list[Event]:
        self.caller.executed.append(call_id)
        result = input_pb2.ToolResult(tool_call_id=call_id, text=f"result of {call_id}")
        return await self.caller.send(
            self.session_id, f"result-{call_id}", tool_results=input_pb2.ToolResults(results=[result])
        )

    async def _approve(self, approval_id: str) -> list[Event]:
        approval = await self.caller.read(lambda client: client.approval(self.session_id, approval_id))
        decision = input_pb2.ApprovalDecision(
            approval_id=approval_id, arguments_hash=approval.arguments_hash, decision=approval_pb2.DECISION_APPROVE
        )
        return await self.caller.send(self.session_id, f"approve-{approval_id}", approval_decision=decision)

    async def _answer(self, followup_id: str) -> list[Event]:
        answer = input_pb2.FollowupAnswer(followup_id=followup_id, text="the red one")
        return await self.caller.send(self.session_id, f"answer-{followup_id}", followup_answer=answer)


Flow = Callable[[Scene], Awaitable[None]]


def talking(words: str, agent: str = AGENT) -> Flow:
    """A message, and whatever its turn needs."""

    async def flow(scene: Scene) -> None:
        scene.arm()
        await scene.create(agent)
        await scene.finish(await scene.say(words))

    return flow


async def watching(scene: Scene) -> None:
    """A turn that somebody watches at another server, for long enough to be told of what happens here."""
    since = scene.deployment.board.mark()
    await scene.create()
    watcher = asyncio.create_task(scene.caller.follow(scene.session_id, ended))
    scene.arm()
    if scene.deployment.kind == "postgresql":
        await scene.deployment.board.passed("watches.change:after", since, within=10)
    await scene.say("hello")
    await watcher


async def cancelling(scene: Scene) -> None:
    """A turn that is ended by its user in the middle of an answer."""
    scene.arm()
    await scene.create()
    turn_id = await scene.say_until_held()
    await scene.caller.call(lambda client: client.cancel(scene.session_id, turn_id, request_id="cancel"))


async def queueing(scene: Scene) -> None:
    """A message that waits for the turn before it."""
    scene.arm()
    await scene.create()
    await scene.say_until_held()
    await asyncio.gather(scene.say("and then?", "queued", QUEUE), _release_when_waiting(scene, "queued"))


async def steering(scene: Scene) -> None:
    """A message that a waiting turn takes along when it goes on."""
    scene.arm()
    await scene.create()
    events = await scene.say("go [tool]")
    await asyncio.gather(scene.say("and mind this", "steered", STEER), _finish_when_waiting(scene, "steered", events))


async def interrupting(scene: Scene) -> None:
    """A message that ends the turn before it in the middle of an answer."""
    scene.arm()
    await scene.create()
    await scene.say_until_held()
    await scene.say("no, this", "interrupting", INTERRUPT)


async def overtaking(scene: Scene) -> None:
    """A step that is still under way when its turn has been ended, and the next begun, at another server (G3)."""
    await scene.create("orchestrator")
    board = scene.deployment.board
    since = board.mark()
    board.arm(Fault("take_route", Position.BEFORE, Action.DELAY))
    overtaken = asyncio.create_task(scene.say("hello"))
    await board.passed("take_route:before!delay", since)
    scene.arm()
    scene.caller.last_first = True
    overtaking = asyncio.create_task(scene.say("no, this [stuck]", "overtaking", INTERRUPT))
    await asyncio.sleep(DELAY_SECONDS + 0.3)
    await scene.deployment.model.release(GATE)
    _, events = await asyncio.gather(overtaken, overtaking)
    chosen = [event.agent_switched.to_agent for event in events if event.HasField("agent_switched")]
    if ROUTED_TO in chosen:
        scene.caller.complaints.append(f"G3: a turn that was over chose the next one's agent: {chosen}")


async def withdrawing(scene: Scene) -> None:
    """A message that is taken back while it waits."""
    scene.arm()
    await scene.create()
    await scene.say_until_held()
    waiting = asyncio.create_task(scene.say("and then?", "queued", QUEUE))
    input_id = await _accepted(scene, "queued")
    await scene.caller.call(lambda client: withdraw(client, scene.session_id, input_id))
    await waiting
    await scene.caller.call(lambda client: client.cancel(scene.session_id, "", request_id="cancel"))


async def resuming(scene: Scene) -> None:
    """A turn that stops at its caller's limit and goes on with another."""
    scene.arm()
    await scene.create()
    message = input_pb2.UserMessage(text="go [tool]")
    limits = turn_pb2.TurnLimits(max_model_calls=1)
    events = await scene.caller.send(scene.session_id, "say", user_message=message, limits=limits)
    await scene.finish(events)
    more = input_pb2.Resume(limits=turn_pb2.TurnLimits(max_model_calls=9))
    await scene.finish(await scene.caller.send(scene.session_id, "resume", resume=more))


async def compacting(scene: Scene) -> None:
    """A conversation that grows too long, until the model is asked for a summary of it."""
    scene.arm()
    await scene.create()
    for number in range(3):
        await scene.say(f"{number} {LONG}", f"long-{number}")


async def unreadable(scene: Scene) -> None:
    """A conversation that the model says it cannot read, although it should."""
    scene.arm()
    await scene.create()
    for number in range(2):
        await scene.say(f"{number} {LONG}", f"long-{number}")
    await scene.say("go [unreadable]")


async def withdraw(client: RuntimeClient, session_id: str, input_id: str, request_id: str = "withdraw") -> PendingInput:
    """WithdrawInput."""
    request = WithdrawInputRequest(session_id=session_id, input_id=input_id, request_id=request_id)
    return (await client.messages.WithdrawInput(request, metadata=client.metadata)).pending_input


async def _release_when_waiting(scene: Scene, request_id: str) -> None:
    await _accepted(scene, request_id)
    await scene.deployment.model.release(GATE)


async def _finish_when_waiting(scene: Scene, request_id: str, events: list[Event]) -> None:
    await _accepted(scene, request_id)
    await scene.finish(events)


async def _accepted(scene: Scene, request_id: str) -> str:
    """The id of an input, once the log has it."""
    while True:
        for event in (await scene.caller.log(scene.session_id))[0]:
            if event.input_accepted.request_id == request_id:
                return event.input_accepted.input_id
        await asyncio.sleep(0.02)


async def deleting(scene: Scene) -> None:
    """A session that is deleted in the middle of an answer."""
    scene.arm()
    await scene.create()
    await scene.say_until_held()
    await scene.caller.call(lambda client: client.delete(scene.session_id, request_id="delete"))


async def keeping_house(scene: Scene) -> None:
    """Everything that changes a session beside its turns."""
    scene.arm()
    await scene.create()
    session_id, call = scene.session_id, scene.caller.call
    await call(lambda client: client.update(session_id, title="a title", request_id="update"))
    await call(lambda client: client.switch_agent(session_id, "coder", request_id="switch"))
    await call(lambda client: client.reset_agent(session_id, request_id="reset"))
    asks = APPROVAL_EFFECT_ASK
    rule = await call(
        lambda client: client.create_rule("move_file", asks, session_id=session_id, request_id="create-rule")
    )
    await scene.say("hello")
    await call(lambda client: client.delete_rule(rule.id, request_id="delete-rule"))
    await call(lambda client: client.clear(session_id, request_id="clear"))
    await call(lambda client: client.deactivate(session_id, request_id="deactivate"))
    await call(lambda client: client.activate(session_id, request_id="activate"))


async def expiring(scene: Scene) -> None:
    """An approval that nobody decides in time; the model goes on without the call."""
    scene.arm()
    await scene.create()
    await scene.say("go [approval]")
    await _until_ended(scene)


async def recovering(scene: Scene) -> None:
    """A server killed in the middle of an answer; the fault strikes whoever takes the turn up."""
    await scene.deployment.whole()
    await scene.create()
    await scene.say_until_held()
    scene.arm()
    scene.deployment.servers[0].kill()
    await scene.deployment.model.release(GATE)
    await _until_ended(scene)


async def breaking(scene: Scene) -> None:
    """A turn that an error of ours ends; the fault strikes whoever ends it."""
    await scene.create()
    scene.deployment.board.arm(Fault("take_answer", Position.BEFORE, Action.EXCEPTION))
    scene.arm()
    await scene.say("hello")


async def restarting(scene: Scene) -> None:
    """A server that stops in order in the middle of an answer and starts again; the fault strikes on either way."""
    await scene.deployment.whole()
    await scene.create()
    await scene.say_until_held()
    scene.arm()
    server = scene.deployment.servers[0]
    starts = server.starts
    server.terminate()
    await server.ended(starts)
    await scene.deployment.model.release(GATE)
    await _until_ended(scene)
    await scene.deployment.whole()


async def _until_ended(scene: Scene) -> None:
    """Follows the session's log until its turn is over; events seen here are evidence like all others."""
    over = False
    while not over:
        log, _ = await scene.caller.log(scene.session_id)
        over = any(kind in ("turn_completed", "turn_failed", "turn_cancelled") for kind in kinds(log))
        await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class FlowKind:
    """A flow and the settings its servers need."""

    play: Flow
    settings: Mapping[str, str]


EXPIRY = {"TURNS__APPROVAL_WAIT": "0.5"}
SMALL = {"CONTEXT__WINDOW": "8000"}  # tokens, of which the agent takes half before anybody says anything
LONG = "word " * 600

FLOWS: Mapping[str, FlowKind] = {
    "text": FlowKind(talking("hello"), {}),
    "routed": FlowKind(talking("hello", "orchestrator"), {}),
    "tool": FlowKind(talking("go [tool]"), {}),
    "parallel": FlowKind(talking("go [parallel]"), {}),
    "approval": FlowKind(talking("go [approval]"), {}),
    "followup": FlowKind(talking("go [followup]"), {}),
    "watch": FlowKind(watching, {}),
    "failing": FlowKind(talking("go [fail]"), {}),
    "cancel": FlowKind(cancelling, {}),
    "queue": FlowKind(queueing, {}),
    "steer": FlowKind(steering, {}),
    "interrupt": FlowKind(interrupting, {}),
    "overtaken": FlowKind(overtaking, {}),
    "withdraw": FlowKind(withdrawing, {}),
    "resume": FlowKind(resuming, {}),
    "delete": FlowKind(deleting, {}),
    "house": FlowKind(keeping_house, {}),
    "recovery": FlowKind(recovering, {}),
    "broken": FlowKind(breaking, {}),
    "restart": FlowKind(restarting, {}),
    "expiry": FlowKind(expiring, EXPIRY),
    "compact": FlowKind(compacting, SMALL),
    "unreadable": FlowKind(unreadable, SMALL),
    "full": FlowKind(talking(LONG * 10), SMALL),
}
