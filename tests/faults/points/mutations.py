"""Every RPC that changes something: where it may be called, how to call it, and what it leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent_runtime.v1 import approval_pb2, input_pb2, session_history_pb2, turn_pb2
from agent_runtime.v1.approval_rule_pb2 import APPROVAL_EFFECT_ASK
from agent_runtime.v1.session_pb2 import SESSION_STATE_ACTIVE, Session
from tests.faults.points.flows import QUEUE, Scene, withdraw
from tests.support.runtime_client import Event, RuntimeClient, kinds

Call = Callable[[RuntimeClient, bool], Awaitable[Any]]
"""The call under one request id; with True its body is another one. What it returns is comparable."""


class SilentStreamError(Exception):
    """The events of a running turn did not come in time."""


REQUEST_ID = "the-request"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One RPC, or one kind of input. `step` is the durable step it takes; `effect` counts what it did."""

    rpc: str
    step: str
    prepare: Callable[[Scene], Awaitable[Call]]
    effect: Callable[[Scene, RuntimeClient], Awaitable[int]]


def _events(
    kind: str, count: Callable[[Event], bool] = lambda _: True
) -> Callable[[Scene, RuntimeClient], Awaitable[int]]:
    async def effect(scene: Scene, client: RuntimeClient) -> int:
        return sum(kinds([event])[0] == kind and count(event) for event in await client.log(scene.session_id))

    return effect


_accepted = _events("input_accepted", lambda event: event.input_accepted.request_id == REQUEST_ID)


async def _creating(scene: Scene) -> Call:
    async def call(client: RuntimeClient, other: bool) -> Session:
        return await client.new_session(title="two" if other else "one", request_id=REQUEST_ID)

    return call


async def _sessions(scene: Scene, client: RuntimeClient) -> int:
    return len((await client.list_sessions()).sessions)


async def _updating(scene: Scene) -> Call:
    await scene.create()
    return lambda client, other: client.update(scene.session_id, title="two" if other else "one", request_id=REQUEST_ID)


async def _deactivating(scene: Scene) -> Call:
    await scene.create()
    return lambda client, other: client.deactivate(
        scene.session_id, reason="two" if other else "one", request_id=REQUEST_ID
    )


async def _activating(scene: Scene) -> Call:
    await _two_sessions(scene)
    await scene.caller.call(lambda client: client.deactivate(scene.session_id))
    return _on_some_session(scene, lambda client, session_id: client.activate(session_id, request_id=REQUEST_ID))


async def _deleting(scene: Scene) -> Call:
    await _two_sessions(scene)
    return _on_some_session(scene, lambda client, session_id: client.delete(session_id, request_id=REQUEST_ID))


async def _deletions(scene: Scene, client: RuntimeClient) -> int:
    return 2 - await _sessions(scene, client)


async def _clearing(scene: Scene) -> Call:
    await _two_sessions(scene)
    await scene.say("hello")
    return _on_some_session(scene, lambda client, session_id: client.clear(session_id, request_id=REQUEST_ID))


async def _two_sessions(scene: Scene) -> None:
    await scene.create()
    await scene.caller.call(lambda client: client.new_session(session_id=f"{scene.session_id}-other"))


def _on_some_session(scene: Scene, call: Callable[[RuntimeClient, str], Awaitable[Any]]) -> Call:
    """For requests that hold nothing but a session: the other body is about another session."""
    return lambda client, other: call(client, f"{scene.session_id}-other" if other else scene.session_id)


async def _forking(scene: Scene) -> Call:
    await scene.create()
    await scene.say("hello")

    async def call(client: RuntimeClient, other: bool) -> Session:
        request = session_history_pb2.ForkSessionRequest(
            session_id=scene.session_id, title="two" if other else "one", request_id=REQUEST_ID
        )
        return (await client.sessions.ForkSession(request, metadata=client.metadata)).session

    return call


async def _forks(scene: Scene, client: RuntimeClient) -> int:
    return await _sessions(scene, client) - 1


async def _switching(scene: Scene) -> Call:
    await scene.create()
    return lambda client, other: client.switch_agent(
        scene.session_id, "coder", reason="two" if other else "one", request_id=REQUEST_ID
    )


async def _resetting(scene: Scene) -> Call:
    await _two_sessions(scene)
    return _on_some_session(scene, lambda client, session_id: client.reset_agent(session_id, REQUEST_ID))


async def _withdrawing(scene: Scene) -> Call:
    await scene.create()
    await scene.say_until_held()
    hello = input_pb2.UserMessage(text="hello")
    accepted = [
        await scene.caller.send(scene.session_id, f"waiting-{n}", detach=True, busy_policy=QUEUE, user_message=hello)
        for n in range(2)
    ]
    one, two = (events[0].input_accepted.input_id for events in accepted)
    return lambda client, other: withdraw(client, scene.session_id, two if other else one, REQUEST_ID)


async def _resuming(scene: Scene) -> Call:
    await scene.create()
    limits = turn_pb2.TurnLimits(max_model_calls=1)
    message = input_pb2.UserMessage(text="go [tool]")
    events = await scene.caller.send(scene.session_id, "say", user_message=message, limits=limits)
    await scene.finish(events)

    async def call(client: RuntimeClient, other: bool) -> list[Event]:
        more = turn_pb2.TurnLimits(max_model_calls=8 if other else 9)
        return await _read(client, scene.session_id, resume=input_pb2.Resume(limits=more))

    return call


async def _cancelling(scene: Scene) -> Call:
    await scene.create()
    turn_id = await scene.say_until_held()
    return lambda client, other: client.cancel(scene.session_id, "" if other else turn_id, REQUEST_ID)


async def _talking(scene: Scene) -> Call:
    await scene.create()

    async def call(client: RuntimeClient, other: bool) -> list[Event]:
        sent = input_pb2.UserMessage(text="two" if other else "one")
        return await _read(client, scene.session_id, user_message=sent)

    return call


async def _giving_results(scene: Scene) -> Call:
    await scene.create()
    call_id = (await scene.say("go [tool]"))[-1].turn_paused.open_tool_call_ids[0]

    async def call(client: RuntimeClient, other: bool) -> list[Event]:
        result = input_pb2.ToolResult(tool_call_id=call_id, text="two" if other else "one")
        sent = input_pb2.ToolResults(results=[result])
        return await _read(client, scene.session_id, tool_results=sent)

    return call


async def _answering(scene: Scene) -> Call:
    await scene.create()
    followup_id = (await scene.say("go [followup]"))[-1].turn_paused.followup_id

    async def call(client: RuntimeClient, other: bool) -> list[Event]:
        sent = input_pb2.FollowupAnswer(followup_id=followup_id, text="two" if other else "one")
        return await _read(client, scene.session_id, followup_answer=sent)

    return call


async def _deciding_by_message(scene: Scene) -> Call:
    approval = await _pending(scene)

    async def call(client: RuntimeClient, other: bool) -> list[Event]:
        sent = input_pb2.ApprovalDecision(
            approval_id=approval.id,
            arguments_hash=approval.arguments_hash,
            decision=approval_pb2.DECISION_REJECT,
            feedback="two" if other else "one",
        )
        return await _read(client, scene.session_id, approval_decision=sent)

    return call


async def _deciding(scene: Scene) -> Call:
    approval = await _pending(scene)

    async def call(client: RuntimeClient, other: bool) -> object:
        return await client.decide(
            approval,
            approval_pb2.DECISION_REJECT,
            request_id=REQUEST_ID,
            feedback="two" if other else "one",
        )

    return call


async def _making_a_rule(scene: Scene) -> Call:
    await scene.create()
    return lambda client, other: client.create_rule(
        "move_file", APPROVAL_EFFECT_ASK, description="two" if other else "one", request_id=REQUEST_ID
    )


async def _rules(scene: Scene, client: RuntimeClient) -> int:
    return len((await client.list_rules()).approval_rules)


async def _removing_a_rule(scene: Scene) -> Call:
    await scene.create()
    make = scene.caller.call
    one = await make(lambda client: client.create_rule("move_file", APPROVAL_EFFECT_ASK, request_id="rule-1"))
    two = await make(lambda client: client.create_rule("move_file", APPROVAL_EFFECT_ASK, request_id="rule-2"))
    return lambda client, other: client.delete_rule(two.id if other else one.id, REQUEST_ID)


async def _removed_rules(scene: Scene, client: RuntimeClient) -> int:
    return 2 - await _rules(scene, client)


async def _pending(scene: Scene) -> approval_pb2.Approval:
    await scene.create()
    approval_id = (await scene.say("go [approval]"))[-1].turn_paused.pending_approval_ids[0]
    return await scene.caller.read(lambda client: client.approval(scene.session_id, approval_id))


async def _read(client: RuntimeClient, session_id: str, **content: Any) -> list[Event]:
    events = []
    async for item in client.send_input(session_id, request_id=REQUEST_ID, **content):
        if not item.HasField("event"):
            raise SilentStreamError(f"a stream said {item.WhichOneof('item')} where events were due")
        events.append(item.event)
    return events


MUTATIONS: Mapping[str, Mutation] = {
    "create": Mutation("SessionService/CreateSession", "session_store.create", _creating, _sessions),
    "update": Mutation("SessionService/UpdateSession", "update_session", _updating, _events("session_updated")),
    "deactivate": Mutation(
        "SessionService/DeactivateSession", "deactivate_session", _deactivating, _events("session_state_changed")
    ),
    "activate": Mutation(
        "SessionService/ActivateSession",
        "activate_session",
        _activating,
        _events("session_state_changed", lambda event: event.session_state_changed.state == SESSION_STATE_ACTIVE),
    ),
    "delete": Mutation("SessionService/DeleteSession", "delete_session", _deleting, _deletions),
    "clear": Mutation("SessionService/ClearMessages", "clear_messages", _clearing, _events("messages_cleared")),
    "fork": Mutation("SessionService/ForkSession", "session_store.fork", _forking, _forks),
    "switch": Mutation("AgentService/SwitchAgent", "switch_agent", _switching, _events("agent_switched")),
    "reset": Mutation("AgentService/ResetAgent", "reset_agent", _resetting, _events("agent_switched")),
    "cancel": Mutation("MessageService/CancelTurn", "cancel_turn", _cancelling, _events("turn_cancelled")),
    "withdraw": Mutation("MessageService/WithdrawInput", "withdraw_input", _withdrawing, _events("input_withdrawn")),
    "resume": Mutation("MessageService/SendMessage", "accept.Resume", _resuming, _accepted),
    "message": Mutation("MessageService/SendMessage", "accept.UserMessage", _talking, _accepted),
    "results": Mutation("MessageService/SendMessage", "accept.ToolResults", _giving_results, _accepted),
    "answer": Mutation("MessageService/SendMessage", "accept.FollowupAnswer", _answering, _accepted),
    "decision": Mutation("MessageService/SendMessage", "accept.ApprovalDecision", _deciding_by_message, _accepted),
    "decide": Mutation(
        "ApprovalService/DecideApproval", "accept.ApprovalDecision", _deciding, _events("approval_resolved")
    ),
    "rule": Mutation("ApprovalService/CreateApprovalRule", "approval_rule_store.create", _making_a_rule, _rules),
    "end_rule": Mutation(
        "ApprovalService/DeleteApprovalRule", "approval_rule_store.delete", _removing_a_rule, _removed_rules
    ),
}
