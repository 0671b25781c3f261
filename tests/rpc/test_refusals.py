"""Bad input and what is not offered yet: refused with every wrong field named, and nothing is done (G10)."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from agent_runtime.v1 import approval_pb2, input_pb2, session_pb2, tool_pb2, turn_pb2
from devtools.runtime_process import RuntimeProcess
from devtools.scripted_model import ScriptedModel
from tests.support.refused_calls import not_yet, send, wrong_fields
from tests.support.rpcs import OFFERED, RPCS
from tests.support.runtime_client import RuntimeClient, refusal_of

LATER = [rpc for rpc in RPCS if rpc.name not in OFFERED]
HELLO = input_pb2.UserMessage(text="hello")


@pytest.mark.parametrize("rpc", LATER, ids=lambda rpc: rpc.name)
async def test_rpcs_of_later_releases_say_so(runtime: RuntimeProcess, rpc: Any) -> None:
    async with grpc.aio.insecure_channel(runtime.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.call(channel, b"")
    refusal = refusal_of(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED_YET")
    assert rpc.name in refusal.message


async def test_fields_of_later_releases_are_refused_and_nothing_is_done(
    client: RuntimeClient, model: ScriptedModel
) -> None:
    session = await client.new_session()
    eager = tool_pb2.ClientTool(name="mine", description="d", read_only=True, speculative=True)
    await not_yet(client.new_session(client_tools=[eager]), "client_tools.speculative")
    await not_yet(client.new_session(tool_call_deltas=True), "tool_call_deltas")
    tools = tool_pb2.ClientToolSet(tools=[eager])
    await not_yet(client.update(session.id, title="no", client_tools=tools), "client_tools.speculative")
    await not_yet(client.update(session.id, title="no", tool_call_deltas=True), "tool_call_deltas")
    assert list((await client.list_sessions()).sessions) == [session]


async def test_everything_that_is_wrong_is_named_at_once(client: RuntimeClient) -> None:
    fields = await wrong_fields(
        client.new_session(
            session_id="no spaces",
            title="t" * 501,
            description="d" * 2001,
            labels={"bad key": "v", "long": "v" * 257, "k" * 64: ""},
            agent="a" * 65,
            message_limit=10_001,
            request_id="no/slashes",
        )
    )
    assert sorted(fields) == sorted(
        [
            *("session_id", "title", "description", "agent", "message_limit", "request_id"),
            *('labels["bad key"]', 'labels["long"]', f'labels["{"k" * 64}"]'),
        ]
    )
    assert list((await client.list_sessions()).sessions) == []


async def test_limits_of_create_and_update_hold_at_their_edges(client: RuntimeClient) -> None:
    sixty_five = {f"k{number}": "" for number in range(65)}
    assert list(await wrong_fields(client.new_session(labels=sixty_five))) == ["labels"]
    assert list(await wrong_fields(client.new_session(allow_existing=True))) == ["session_id"]
    assert list(await wrong_fields(client.new_session(message_limit=-1))) == ["message_limit"]
    session = await client.new_session(message_limit=1)
    for limit in (0, -1, 10_001, 2**63 - 1):
        assert list(await wrong_fields(client.update(session.id, message_limit=limit))) == ["message_limit"]
    labels = session_pb2.LabelSet(labels=sixty_five)
    assert list(await wrong_fields(client.update(session.id, labels=labels))) == ["labels.labels"]
    assert list(await wrong_fields(client.update(session.id, expected_version=0))) == ["expected_version"]
    assert list(await wrong_fields(client.deactivate(session.id, reason="r" * 501))) == ["reason"]
    assert await client.session(session.id) == session


@pytest.mark.parametrize("session_id", ["", "a b", "ä", "x" * 65, "a/b", "../x", "a.b", "\x00", "x" * 100_000, "a\n"])
async def test_a_session_id_has_the_documented_form_everywhere(client: RuntimeClient, session_id: str) -> None:
    for attempt in (
        client.session(session_id),
        client.delete(session_id),
        client.list_messages(session_id),
        client.log(session_id),
        client.ask(session_id, "hello"),
        client.turn(session_id, "turn_x"),
    ):
        assert list(await wrong_fields(attempt)) == ["session_id"]


@pytest.mark.parametrize("request_id", ["a b", "ä", "x" * 129, "a/b", "\x00", "a\n"])
async def test_a_request_id_has_the_documented_form_everywhere(client: RuntimeClient, request_id: str) -> None:
    session = await client.new_session()
    for attempt in (
        client.update(session.id, request_id=request_id),
        client.delete(session.id, request_id),
        client.clear(session.id, request_id),
        client.cancel(session.id, "", request_id),
        client.ask(session.id, "hello", request_id=request_id),
    ):
        assert list(await wrong_fields(attempt)) == ["request_id"]
    longest = "aZ0._:-" + "x" * 121
    assert (await client.update(session.id, title="fine", request_id=longest)).title == "fine"


async def test_client_tools_are_held_to_their_form_and_leave_built_in_names_alone(client: RuntimeClient) -> None:
    session = await client.new_session()
    for tool, field in (
        (tool_pb2.ClientTool(name="no spaces", description="d"), "name"),
        (tool_pb2.ClientTool(name="read_file", description="d"), "name"),
        (tool_pb2.ClientTool(name="mine"), "description"),
        (tool_pb2.ClientTool(name="mine", description="d", parameters_json="[]"), "parameters_json"),
        (tool_pb2.ClientTool(name="mine", description="d", parameters_json='{"type": "nothing"}'), "parameters_json"),
    ):
        assert list(await wrong_fields(client.new_session(client_tools=[tool]))) == [f"client_tools[0].{field}"]
        tools = tool_pb2.ClientToolSet(tools=[tool])
        assert list(await wrong_fields(client.update(session.id, client_tools=tools))) == [
            f"client_tools.tools[0].{field}"
        ]
    assert list((await client.list_sessions()).sessions) == [session]


async def test_decisions_and_switches_are_held_to_their_form(client: RuntimeClient) -> None:
    session = await client.new_session()
    unknown = approval_pb2.Approval(session_id=session.id)
    assert list(await wrong_fields(client.decide(unknown))) == ["decision.approval_id", "decision.arguments_hash"]
    assert list(await wrong_fields(client.approval(session.id, ""))) == ["approval_id"]
    assert list(await wrong_fields(client.list_approvals(states=[0]))) == ["states[0]"]
    assert list(await wrong_fields(client.switch_agent(session.id, "", reason="r" * 501))) == ["agent", "reason"]
    assert list(await wrong_fields(client.reset_agent(session.id, "no/slashes"))) == ["request_id"]
    assert await client.session(session.id) == session


async def test_enum_values_nobody_knows_are_refused_by_place(client: RuntimeClient) -> None:
    session = await client.new_session()
    for unknown in (0, 99, -1):
        assert list(await wrong_fields(client.list_sessions(states=[1, unknown]))) == ["states[1]"]
        assert list(await wrong_fields(client.list_messages(session.id, roles=[unknown]))) == ["roles[0]"]
        assert list(await wrong_fields(client.list_turns(session.id, states=[unknown, 1]))) == ["states[0]"]
    for unknown in (99, -1):
        sending = send(client, session_id=session.id, user_message=HELLO, busy_policy=unknown)
        assert list(await wrong_fields(sending)) == ["busy_policy"]


async def test_pages_are_asked_for_properly(client: RuntimeClient) -> None:
    session = await client.new_session()
    for wrong in ({"page_size": -1}, {"page_size": -(2**31)}, {"page_token": "nonsense"}):
        for attempt in (
            client.list_sessions(**wrong),
            client.list_messages(session.id, **wrong),
            client.list_turns(session.id, **wrong),
        ):
            assert list(await wrong_fields(attempt)) == list(wrong)


@pytest.mark.parametrize(("seconds", "nanos"), [(2**62, 0), (-(2**62), 0), (0, -1), (0, 10**9), (253402300800, 0)])
async def test_times_that_are_none_are_refused(client: RuntimeClient, seconds: int, nanos: int) -> None:
    time = Timestamp(seconds=seconds, nanos=nanos)
    assert list(await wrong_fields(client.list_sessions(active_since=time))) == ["active_since"]
    assert list(await wrong_fields(client.usage_stats(end_time=time))) == ["end_time"]


async def test_a_wrong_field_is_worse_than_one_that_is_not_offered_yet(client: RuntimeClient) -> None:
    limits = turn_pb2.TurnLimits(max_running_time=Duration(seconds=1))
    assert list(await wrong_fields(send(client, session_id="a b", user_message=HELLO, limits=limits))) == ["session_id"]


async def test_refusals_have_room_in_the_trailers_however_much_is_wrong(client: RuntimeClient) -> None:
    labels = {f"bad key {number} {'x' * 200}": "v" for number in range(64)}
    fields = await wrong_fields(client.new_session(labels=labels, title="t" * 100_000))
    assert fields[""].startswith("and ")
    assert sum(len(field) + len(rule) for field, rule in fields.items()) < 4096
