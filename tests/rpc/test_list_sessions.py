"""The list of sessions: whose, which, in what order, and every page of it."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from agent_runtime.v1 import session_pb2
from devtools.scripted_model import ScriptedModel
from tests.support.runtime_client import RuntimeClient, every_page, refused


async def ids(client: RuntimeClient, **filters: object) -> list[str]:
    """The ids a list holds, over all its pages."""
    pages = await every_page(lambda token: client.list_sessions(page_token=token, **filters))
    return [session.id for page in pages for session in page.sessions]


async def test_only_the_callers_sessions_are_listed_whole(client: RuntimeClient, other_client: RuntimeClient) -> None:
    assert (await client.list_sessions()).sessions == []
    await other_client.new_session()
    mine = await client.new_session(title="t", description="d", labels={"a": "1"})
    assert list((await client.list_sessions()).sessions) == [mine]


async def test_the_latest_activity_comes_first(client: RuntimeClient, model: ScriptedModel) -> None:
    for name in ("a", "b", "c"):
        await client.new_session(session_id=name)
    assert await ids(client) == ["c", "b", "a"]
    await client.ask("a", "hello")
    assert await ids(client) == ["a", "c", "b"]
    await client.update("b", title="no activity")
    assert await ids(client) == ["a", "c", "b"]


@pytest.mark.parametrize("page_size", [1, 2, 3, 6, 7, 8, 500, 2**31 - 1])
async def test_pages_of_any_size_make_the_whole_list(client: RuntimeClient, page_size: int) -> None:
    for number in range(7):
        await client.new_session(session_id=f"s{number}")
    pages = await every_page(lambda token: client.list_sessions(page_size=page_size, page_token=token))
    assert all(len(page.sessions) <= page_size for page in pages)
    assert all(page.sessions for page in pages)
    assert [session.id for page in pages for session in page.sessions] == [f"s{number}" for number in range(6, -1, -1)]


async def test_filters_narrow_the_list_together(client: RuntimeClient) -> None:
    await client.new_session(session_id="red", labels={"color": "red", "size": "s"})
    await client.new_session(session_id="red-large", labels={"color": "red", "size": "l"})
    await client.new_session(session_id="blue", labels={"color": "blue", "size": "l"})
    await client.deactivate("red")
    assert await ids(client, labels={"color": "red"}) == ["red-large", "red"]
    assert await ids(client, labels={"color": "red", "size": "l"}) == ["red-large"]
    assert await ids(client, labels={"color": "re"}) == await ids(client, labels={"olor": "red"}) == []
    assert await ids(client, states=[session_pb2.SESSION_STATE_INACTIVE]) == ["red"]
    assert await ids(client, states=[session_pb2.SESSION_STATE_ACTIVE]) == ["blue", "red-large"]
    assert len(await ids(client, states=[session_pb2.SESSION_STATE_ACTIVE, session_pb2.SESSION_STATE_INACTIVE])) == 3
    assert await ids(client, states=[session_pb2.SESSION_STATE_INACTIVE], labels={"color": "blue"}) == []
    assert len(await ids(client, current_agent="orchestrator")) == 3
    assert await ids(client, current_agent="coder") == []


@pytest.mark.parametrize("value", ['a","b":"c', "\\", "%", "_", "ä\u0301", "</x>", "\n"])
async def test_a_label_filter_takes_its_value_to_the_letter(client: RuntimeClient, value: str) -> None:
    await client.new_session(session_id="plain", labels={"k": "plain", "b": "c"})
    await client.new_session(session_id="odd", labels={"k": value})
    assert await ids(client, labels={"k": value}) == ["odd"]


async def test_a_span_of_activity_includes_its_start_and_not_its_end(client: RuntimeClient) -> None:
    sessions = [await client.new_session(session_id=name) for name in ("a", "b", "c")]
    middle = sessions[1].last_activity_time
    assert await ids(client, active_since=middle) == ["c", "b"]
    assert await ids(client, active_before=middle) == ["a"]
    just_after = Timestamp()
    just_after.FromDatetime(middle.ToDatetime() + timedelta(microseconds=1))
    assert await ids(client, active_since=middle, active_before=just_after) == ["b"]


async def test_a_page_token_works_for_its_owner_and_filter_alone(
    client: RuntimeClient, other_client: RuntimeClient
) -> None:
    for owner in (client, other_client):
        for _ in range(3):
            await owner.new_session(labels={"a": "1"})
    token = (await client.list_sessions(page_size=1, labels={"a": "1"})).next_page_token
    assert len((await client.list_sessions(page_size=2, labels={"a": "1"}, page_token=token)).sessions) == 2
    for owner, filters in (
        (other_client, {"labels": {"a": "1"}}),
        (client, {}),
        (client, {"labels": {"a": "2"}}),
        (client, {"labels": {"a": "1"}, "states": [session_pb2.SESSION_STATE_ACTIVE]}),
    ):
        async with refused() as refusal:
            await owner.list_sessions(page_token=token, **filters)
        assert refusal().code == grpc.StatusCode.INVALID_ARGUMENT
        assert list(refusal().fields) == ["page_token"]


async def test_a_changed_page_token_is_refused_wherever_it_was_changed(client: RuntimeClient) -> None:
    for _ in range(2):
        await client.new_session()
    token = (await client.list_sessions(page_size=1)).next_page_token
    changed = [token[:at] + ("B" if token[at] == "A" else "A") + token[at + 1 :] for at in range(0, len(token), 5)]
    for wrong in [*changed, token + "A", token[:-1], token.replace(".", ""), ".", "A", "ä.ö", "\x00", "A" * 100_000]:
        async with refused() as refusal:
            await client.list_sessions(page_token=wrong)
        assert list(refusal().fields) == ["page_token"]


async def test_a_token_of_another_list_is_refused(client: RuntimeClient, model: ScriptedModel) -> None:
    session = await client.new_session()
    await client.ask(session.id, "hello")
    token = (await client.list_messages(session.id, page_size=1)).next_page_token
    async with refused() as refusal:
        await client.list_turns(session.id, page_token=token)
    assert list(refusal().fields) == ["page_token"]


async def test_sessions_that_come_and_go_between_pages_disturb_nothing_else(client: RuntimeClient) -> None:
    for number in range(6):
        await client.new_session(session_id=f"s{number}")
    first = await client.list_sessions(page_size=2)
    await client.delete("s4")  # the last one of the page just read
    await client.delete("s2")
    await client.new_session(session_id="new")
    rest = await client.list_sessions(page_size=500, page_token=first.next_page_token)
    assert [session.id for session in rest.sessions] == ["s3", "s1", "s0"]
