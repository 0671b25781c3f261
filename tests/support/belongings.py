"""What an owner may have, and every use an owner may make of it: the table from which isolation is tested."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from agent_runtime.v1 import approval_pb2, approval_rule_pb2, input_pb2, turn_pb2
from devtools.scripted_model import Reply, ScriptedModel, When, reply, tool_calls
from devtools.scripted_model.script import Call
from services.domain.ids import new_id
from tests.support.rpcs import OFFERED, RPCS, Rpc
from tests.support.runtime_client import Event, RuntimeClient, text_result
from tests.support.tool_turns import approvals_in, question, read, write


@dataclass(frozen=True, kw_only=True)
class Belongings:
    """Ids of one owner's things; those that the owner does not have are ids of nothing."""

    session_id: str = "session_" + "0" * 32
    turn_id: str = "turn_" + "0" * 32
    message_id: str = "message_" + "0" * 32
    tool_call_id: str = "call_" + "0" * 32
    approval_id: str = "approval_" + "0" * 32
    arguments_hash: str = "0" * 64
    followup_id: str = "followup_" + "0" * 32
    input_id: str = "input_" + "0" * 32
    rule_id: str = "rule_" + "0" * 32
    request_id: str = "request_" + "0" * 32

    @property
    def ids(self) -> set[str]:
        """Those that somebody has."""
        return set(asdict(self).values()) - {field.default for field in fields(self)}


NOTHING = Belongings()
Scene = Callable[[RuntimeClient, ScriptedModel], Awaitable[Belongings]]


async def quiet(client: RuntimeClient, model: ScriptedModel) -> Belongings:
    """A session with one answer, and a rule."""
    session = await client.new_session(agent="universal")
    request_id = new_id("request")
    events = await client.ask(session.id, "hello", request_id=request_id)
    rule = await client.create_rule("move_file", approval_rule_pb2.APPROVAL_EFFECT_ASK, session_id=session.id)
    return await _of(client, session.id, events, rule_id=rule.id, request_id=request_id)


async def inactive(client: RuntimeClient, model: ScriptedModel) -> Belongings:
    """A session that takes no input."""
    its = await quiet(client, model)
    await client.deactivate(its.session_id)
    return its


async def waiting(client: RuntimeClient, model: ScriptedModel) -> Belongings:
    """A session with everything twice of which there can be two: open calls, approvals, messages that wait, rules."""
    await model.play(_made(read("a", "c1"), read("b", "c2"), write("c", "c3"), write("d", "c4")))
    session = await client.new_session(agent="universal")
    await client.ask(session.id, "hello")
    await client.switch_agent(session.id, "debug")
    await client.switch_agent(session.id, "coder")
    events = await client.ask(session.id, "work")
    approval = approvals_in(events)["c3"]
    queued = [
        await client.ask(session.id, words, busy_policy=input_pb2.BUSY_POLICY_QUEUE, detach=True)
        for words in ("first", "second")
    ]
    rules = [
        await client.create_rule("move_file", approval_rule_pb2.APPROVAL_EFFECT_ASK, session_id=session.id)
        for _ in range(2)
    ]
    return await _of(
        client,
        session.id,
        events,
        tool_call_id="c1",
        approval_id=approval.id,
        arguments_hash=approval.arguments_hash,
        input_id=queued[0][0].input_accepted.input_id,
        rule_id=rules[0].id,
    )


async def asked(client: RuntimeClient, model: ScriptedModel) -> Belongings:
    """A session whose turn waits for an answer."""
    await model.play(_made(question("Which one?", "c1")))
    session = await client.new_session(agent="coder")
    events = await client.ask(session.id, "work")
    return await _of(client, session.id, events, followup_id=events[-1].turn_paused.followup_id)


async def spent(client: RuntimeClient, model: ScriptedModel) -> Belongings:
    """A session whose turn has used up the caller's limits."""
    await model.play(_made(read("a", "c1")))
    session = await client.new_session(agent="coder")
    events = await client.ask(session.id, "work", limits=turn_pb2.TurnLimits(max_model_calls=1))
    await client.tool_results(session.id, text_result("c1", "x"))
    return await _of(client, session.id, events)


def _made(*made: Call) -> Reply:
    """Calls for whoever says so, as often as they do, and for nobody else who talks at the same time."""
    return reply(tool_calls(*made), when=When(last_user_contains="work", last_role="user"), repeat=True)


async def _of(client: RuntimeClient, session_id: str, events: list[Event], **ids: str) -> Belongings:
    messages = (await client.list_messages(session_id)).messages
    return Belongings(session_id=session_id, turn_id=events[0].turn_id, message_id=messages[-1].id, **ids)


@dataclass(frozen=True)
class Use:
    """A call with somebody's ids in it that goes well for whoever has them. `scene` makes what it needs."""

    rpc: Rpc
    scene: Scene
    fields: Callable[[Belongings], dict[str, Any]]

    @property
    def changes(self) -> bool:
        """Whether the call can be repeated under a request id."""
        return "request_id" in self.rpc.request.DESCRIPTOR.fields_by_name

    def request(self, ids: Belongings) -> Any:
        """A request that names these things."""
        return self.rpc.request(**self.fields(ids))


_RPCS = {rpc.name: rpc for rpc in RPCS}


def _session(ids: Belongings) -> dict[str, Any]:
    return {"session_id": ids.session_id}


def _with(**more: str) -> Callable[[Belongings], dict[str, Any]]:
    """The session and, under these names, other ids."""
    return lambda ids: _session(ids) | {name: getattr(ids, attribute) for name, attribute in more.items()}


def _and(**fixed: Any) -> Callable[[Belongings], dict[str, Any]]:
    """The session and fields that are the same for everyone."""
    return lambda ids: _session(ids) | fixed


def _decision(ids: Belongings) -> input_pb2.ApprovalDecision:
    return input_pb2.ApprovalDecision(
        approval_id=ids.approval_id, arguments_hash=ids.arguments_hash, decision=approval_pb2.DECISION_REJECT
    )


def _input(kind: str, content: Callable[[Belongings], Any]) -> Callable[[Belongings], dict[str, Any]]:
    return lambda ids: _session(ids) | {kind: content(ids), "detach": True}


_SEND = "MessageService/SendMessage"
_HELLO = input_pb2.UserMessage(text="hello")
_SCENES: Mapping[str, tuple[Scene, Callable[[Belongings], dict[str, Any]]]] = {
    "SessionService/CreateSession": (quiet, lambda ids: {}),
    "SessionService/GetSession": (quiet, _session),
    "SessionService/ListSessions": (quiet, lambda ids: {}),
    "SessionService/UpdateSession": (quiet, _and(description="new")),
    "SessionService/DeactivateSession": (quiet, _and(reason="enough")),
    "SessionService/ActivateSession": (inactive, _session),
    "SessionService/DeleteSession": (quiet, _session),
    "SessionService/ClearMessages": (quiet, _session),
    "SessionService/ForkSession": (quiet, _with(until_message_id="message_id")),
    "SessionService/ListMessages": (quiet, _with(turn_id="turn_id")),
    "SessionService/GetSessionUsage": (quiet, _session),
    "AgentService/ListAgents": (quiet, lambda ids: {}),
    "AgentService/GetAgent": (quiet, lambda ids: {"agent": "universal"}),
    "AgentService/GetAgentContext": (quiet, _session),
    "AgentService/SwitchAgent": (quiet, _and(agent="debug")),
    "AgentService/ResetAgent": (quiet, _session),
    "AgentService/ListAgentSwitches": (waiting, _session),
    "AgentService/GetAgentUsageStats": (quiet, _session),
    "AgentService/GetAgentUsageStats of all": (quiet, lambda ids: {}),
    f"{_SEND} user_message": (quiet, _input("user_message", lambda ids: _HELLO)),
    f"{_SEND} user_message to a turn": (
        waiting,
        lambda ids: (
            _input("user_message", lambda ids: _HELLO)(ids)
            | {"expected_turn_id": ids.turn_id, "busy_policy": input_pb2.BUSY_POLICY_STEER}
        ),
    ),
    f"{_SEND} user_message again": (
        quiet,
        lambda ids: _session(ids) | {"user_message": _HELLO, "request_id": ids.request_id, "after_sequence": 0},
    ),
    f"{_SEND} tool_results": (
        waiting,
        _input("tool_results", lambda ids: input_pb2.ToolResults(results=[text_result(ids.tool_call_id, "x")])),
    ),
    f"{_SEND} approval_decision": (waiting, _input("approval_decision", _decision)),
    f"{_SEND} followup_answer": (
        asked,
        _input("followup_answer", lambda ids: input_pb2.FollowupAnswer(followup_id=ids.followup_id, text="yes")),
    ),
    f"{_SEND} resume": (spent, _input("resume", lambda ids: input_pb2.Resume())),
    "MessageService/WatchSession": (waiting, _and(after_sequence=0, snapshot=True, stop_at_head=True)),
    "MessageService/CancelTurn": (waiting, _with(turn_id="turn_id")),
    "MessageService/GetTurn": (quiet, _with(turn_id="turn_id")),
    "MessageService/ListTurns": (waiting, _session),
    "MessageService/ListOpenToolCalls": (waiting, _session),
    "MessageService/ListPendingInputs": (waiting, _session),
    "MessageService/WithdrawInput": (waiting, _with(input_id="input_id")),
    "ApprovalService/ListApprovals": (waiting, _session),
    "ApprovalService/ListApprovals of all": (waiting, lambda ids: {}),
    "ApprovalService/GetApproval": (waiting, _with(approval_id="approval_id")),
    "ApprovalService/DecideApproval": (waiting, lambda ids: _session(ids) | {"decision": _decision(ids)}),
    "ApprovalService/ListApprovalRules": (waiting, _session),
    "ApprovalService/ListApprovalRules of all": (waiting, lambda ids: {}),
    "ApprovalService/CreateApprovalRule": (
        quiet,
        _and(
            scope=approval_rule_pb2.APPROVAL_RULE_SCOPE_SESSION,
            tool="write_file",
            effect=approval_rule_pb2.APPROVAL_EFFECT_ASK,
        ),
    ),
    "ApprovalService/DeleteApprovalRule": (quiet, lambda ids: {"approval_rule_id": ids.rule_id}),
}
USES: Mapping[str, Use] = {
    name: Use(_RPCS[name.partition(" ")[0]], scene, fields_of) for name, (scene, fields_of) in _SCENES.items()
}
"""By RPC, what fills its oneof if it has one, and which variant of it."""


def offered_uses() -> set[str]:
    """What the descriptors say there is to use: every RPC on offer, once for each content of a oneof of its request."""
    uses = set()
    for rpc in RPCS:
        choices = [
            field.name
            for oneof in rpc.request.DESCRIPTOR.oneofs
            for field in oneof.fields
            if len(oneof.fields) > 1 or field.name == oneof.name
        ]
        if rpc.name in OFFERED:
            uses |= {f"{rpc.name} {choice}" for choice in choices} or {rpc.name}
    return uses
