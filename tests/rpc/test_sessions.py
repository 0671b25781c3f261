"""Sessions as the contract describes them: created once, read as they are, changed field by field."""

from __future__ import annotations

import asyncio
import re

import grpc
import pytest

from agent_runtime.v1 import session_pb2, session_service_pb2
from devtools.scripted_model import ScriptedModel, gate, reply, text
from tests.support.runtime_client import RuntimeClient, kinds, refused

Created = session_service_pb2.CreateSessionResponse


async def create(client: RuntimeClient, **fields: object) -> Created:
    request = session_service_pb2.CreateSessionRequest(**fields)  # type: ignore[arg-type]
    return await client.sessions.CreateSession(request, metadata=client.metadata)


async def test_a_session_begins_with_the_documented_defaults(client: RuntimeClient) -> None:
    created = await create(client)
    session = created.session
    assert created.created
    assert session.owner_id == client.owner
    assert (session.title, session.description, dict(session.labels)) == ("", "", {})
    assert session.state == session_pb2.SESSION_STATE_ACTIVE
    assert (session.version, session.message_count, session.message_limit, session.last_sequence) == (1, 0, 1000, 0)
    assert (session.active_turn_id, session.forked_from_session_id, session.deactivation_reason) == ("", "", "")
    assert session.current_agent == "orchestrator"
    assert session.create_time == session.update_time == session.last_activity_time
    assert session.duration.ToSeconds() == 0
    assert await client.session(session.id) == session


async def test_ids_the_runtime_makes_are_valid_different_and_unguessable(client: RuntimeClient) -> None:
    ids = {(await create(client)).session.id for _ in range(5)}
    assert len(ids) == 5
    for made in ids:
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,64}", made)
        random_part = re.fullmatch(r".*?([0-9a-f]+)", made)
        assert random_part is not None
        assert len(random_part[1]) * 4 >= 122


async def test_every_field_is_kept_as_given(client: RuntimeClient) -> None:
    longest = {
        "session_id": "A-b_9" + "x" * 59,
        "title": "Ж" * 500,
        "description": "d" * 2000,
        "labels": {f"team/key.{number}_-": "v" * 256 for number in range(64)},
        "agent": "universal",
        "message_limit": 10_000,
    }
    session = (await create(client, **longest)).session
    assert session.id == longest["session_id"]
    assert session.title == longest["title"]
    assert session.description == longest["description"]
    assert dict(session.labels) == longest["labels"]
    assert session.message_limit == 10_000
    assert await client.session(session.id) == session


@pytest.mark.parametrize(
    "words", ["", " ", "quote \" ' \\ %", "line\nbreak\ttab", "👩‍👩‍👧 e\u0301 \u202e", "'; DROP TABLE sessions; --"]
)
async def test_text_comes_back_to_the_letter(client: RuntimeClient, words: str) -> None:
    session = await client.new_session(title=words, description=words, labels={"k": words})
    read = await client.session(session.id)
    assert (read.title, read.description, read.labels["k"]) == (words, words, words)


async def test_a_taken_id_is_refused_unless_the_existing_session_is_welcome(client: RuntimeClient) -> None:
    first = (await create(client, session_id="mine", title="first")).session
    async with refused() as refusal:
        await create(client, session_id="mine", title="second")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.ALREADY_EXISTS, "SESSION_ALREADY_EXISTS")
    found = await create(client, session_id="mine", title="second", allow_existing=True)
    assert not found.created
    assert found.session == first
    assert (await create(client, session_id="other", allow_existing=True)).created


async def test_the_same_id_belongs_to_each_owner_apart(client: RuntimeClient, other_client: RuntimeClient) -> None:
    mine = await client.new_session(session_id="shared-name", title="mine")
    theirs = await other_client.new_session(session_id="shared-name", title="theirs")
    assert (mine.owner_id, theirs.owner_id) == (client.owner, other_client.owner)
    assert (await client.session("shared-name")).title == "mine"


async def test_an_unknown_agent_is_not_found(client: RuntimeClient) -> None:
    async with refused() as refusal:
        await create(client, session_id="never", agent="nobody")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.NOT_FOUND, "AGENT_NOT_FOUND")
    async with refused() as refusal:
        await client.session("never")
    assert refusal().reason == "SESSION_NOT_FOUND"


async def test_of_many_who_create_one_id_at_once_one_wins(client: RuntimeClient) -> None:
    outcomes = await asyncio.gather(*(create(client, session_id="race") for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(outcome, Created) for outcome in outcomes) == 1
    welcome = await asyncio.gather(*(create(client, session_id="all", allow_existing=True) for _ in range(6)))
    assert [answer.created for answer in welcome].count(True) == 1


async def test_copies_of_one_request_create_one_session(client: RuntimeClient) -> None:
    copies = await asyncio.gather(*(create(client, title="once", request_id="r-1") for _ in range(6)))
    assert len({copy.session.id for copy in copies}) == 1
    assert all(copy.created for copy in copies)
    assert len((await client.list_sessions()).sessions) == 1


async def test_a_repeat_answers_as_the_first_call_did_with_the_session_as_it_is_now(client: RuntimeClient) -> None:
    first = (await create(client, request_id="r-1")).session
    await client.update(first.id, title="since then")
    again = await create(client, request_id="r-1")
    assert again.created
    assert (again.session.id, again.session.title) == (first.id, "since then")
    found = await create(client, session_id=first.id, allow_existing=True, request_id="r-2")
    assert found == await create(client, session_id=first.id, allow_existing=True, request_id="r-2")
    assert not found.created


async def test_a_request_id_with_another_body_is_refused(client: RuntimeClient, other_client: RuntimeClient) -> None:
    session = (await create(client, title="one", request_id="r-1")).session
    async with refused() as refusal:
        await create(client, title="another", request_id="r-1")
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert (await client.update(session.id, title="another", request_id="r-1")).title == "another"  # another RPC
    assert (await create(other_client, title="another", request_id="r-1")).created  # another owner


async def test_a_refused_call_is_judged_anew_under_the_same_request_id(client: RuntimeClient) -> None:
    session = await client.new_session()
    async with refused() as refusal:
        await client.update(session.id, title="too early", expected_version=9, request_id="r-1")
    assert refusal().reason == "CONCURRENT_UPDATE"
    assert (await client.update(session.id, title="just right", request_id="r-1")).title == "just right"


async def test_an_update_changes_what_is_set_and_nothing_else(client: RuntimeClient) -> None:
    before = await client.new_session(title="t", description="d", labels={"a": "1"}, message_limit=7)
    after = await client.update(before.id, description="new")
    assert (after.title, after.description, dict(after.labels), after.message_limit) == ("t", "new", {"a": "1"}, 7)
    assert after.version == 2
    assert after.update_time.ToNanoseconds() > before.update_time.ToNanoseconds()
    assert after.last_activity_time == before.last_activity_time
    after = await client.update(before.id, labels=session_pb2.LabelSet(labels={"b": "2"}), message_limit=8)
    assert (dict(after.labels), after.message_limit, after.description) == ({"b": "2"}, 8, "new")
    emptied = await client.update(before.id, title="", description="", labels=session_pb2.LabelSet())
    assert (emptied.title, emptied.description, dict(emptied.labels), emptied.version) == ("", "", {}, 4)
    assert await client.session(before.id) == emptied


async def test_an_update_is_told_in_the_log_once_and_only_if_something_changed(client: RuntimeClient) -> None:
    session = await client.new_session(title="same")
    assert (await client.update(session.id, title="same")).version == 1
    assert await client.log(session.id) == []
    changed = await client.update(session.id, title="other", message_limit=5, request_id="r-1")
    assert await client.update(session.id, title="other", message_limit=5, request_id="r-1") == changed
    (event,) = await client.log(session.id)
    told = event.session_updated
    assert (told.title, told.message_limit, told.version) == ("other", 5, 2)
    assert changed.last_sequence == event.sequence == 1
    assert not event.HasField("turn_id")
    assert event.correlation_id


async def test_a_stale_version_is_refused_and_names_the_present_one(client: RuntimeClient) -> None:
    session = await client.new_session()
    assert (await client.update(session.id, title="mine", expected_version=1)).version == 2
    async with refused() as refusal:
        await client.update(session.id, title="theirs", expected_version=1)
    assert (refusal().code, refusal().reason) == (grpc.StatusCode.ABORTED, "CONCURRENT_UPDATE")
    assert refusal().metadata == {"version": "2"}
    assert (await client.session(session.id)).title == "mine"


async def test_of_many_who_expect_the_same_version_one_wins(client: RuntimeClient) -> None:
    session = await client.new_session()
    updates = (client.update(session.id, title=f"t{number}", expected_version=1) for number in range(6))
    outcomes = await asyncio.gather(*updates, return_exceptions=True)
    assert sum(isinstance(outcome, session_pb2.Session) for outcome in outcomes) == 1
    assert kinds(await client.log(session.id)) == ["session_updated"]


async def test_a_session_can_be_changed_while_its_agent_answers(client: RuntimeClient, model: ScriptedModel) -> None:
    await model.play(reply(text("before "), gate("go"), text("after")))
    session = await client.new_session(agent="universal")
    asking = asyncio.ensure_future(client.ask(session.id, "go"))
    await model.held("go")
    assert (await client.update(session.id, title="renamed")).active_turn_id
    await model.release("go")
    events = await asking
    assert events[-1].turn_completed.result_text == "before after"
    assert kinds(events).count("session_updated") == 1
    assert [event.sequence for event in events] == list(range(1, len(events) + 1))
