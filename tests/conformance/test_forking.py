"""A fork begins as a copy of another session's history and lives on its own from there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from services.application.ports import IdempotencyKey, SessionView
from services.domain.agent_work import AgentWork
from services.domain.approval import Decision
from services.domain.errors import (
    InvalidArgumentError,
    RequestIdReusedError,
    SessionAlreadyExistsError,
    SessionNotFoundError,
    TurnInProgressError,
)
from services.domain.message import Message
from services.domain.session_events import SessionForked
from services.domain.tool_call import ToolCallState
from services.infrastructure.persistence.database import Database
from tests.support.clock import ManualClock
from tests.support.conversation import read, write
from tests.support.storage import CORRELATION, OWNER, Storage, running_storage
from tests.support.stored_turns import (
    TOOLS,
    answered,
    approval_of,
    asked,
    decision,
    delete,
    loaded,
    results,
    with_client_tools,
)

EDITS = json.dumps({"path": "b.py", "content": "y"})


def key(body: bytes = b"body", request_id: str = "r1") -> IdempotencyKey:
    return IdempotencyKey(OWNER, "ForkSession", request_id, body.ljust(32, b"."))


async def fork(
    storage: Storage,
    new_id: str = "s2",
    *,
    until: str = "",
    title: str | None = None,
    owner_id: str = OWNER,
    request: IdempotencyKey | None = None,
) -> tuple[SessionView, int]:
    return await storage.store.fork(
        owner_id, "s1", new_id, title=title, until_message_id=until, correlation_id=CORRELATION, key=request
    )


async def a_finished_conversation(storage: Storage) -> int:
    """A session with two turns, the second with a read and an edited write; returns its key."""
    session_key = await with_client_tools(storage)
    await storage.answer(await storage.start(text="first"), "One.")
    running = await storage.start(text="second")
    await answered(storage, running, read("c1"), write("c2"))
    await storage.send(decision(await approval_of(storage, "c2"), Decision.APPROVE_WITH_EDITS, EDITS))
    running = storage.run(await storage.send(results("c1", "c2")))
    await storage.answer(running, "Two.")
    return session_key


@pytest.fixture
async def source(storage: Storage) -> int:
    return await a_finished_conversation(storage)


def content(message: Message) -> tuple[object, ...]:
    """What a copied message has in common with its source."""
    return (
        message.role,
        message.content,
        message.agent,
        message.name,
        message.tool_call_id,
        message.tool_calls,
        message.is_error,
        message.complete,
        message.create_time,
    )


class TestAFork:
    async def test_has_the_messages_under_new_ids_counted_from_one(self, storage: Storage, source: int) -> None:
        view, count = await fork(storage)
        before, copies = await storage.history(source), await storage.history(view.session.key)
        assert [content(copy) for copy in copies] == [content(message) for message in before]
        assert not {message.id for message in before} & {copy.id for copy in copies}
        assert [copy.ordinal for copy in copies] == list(range(1, len(before) + 1))
        assert {copy.turn_id for copy in copies} == {None}
        assert count == len(before) == view.session.message_count == view.session.last_ordinal

    async def test_has_the_arguments_that_calls_ran_with(self, storage: Storage, source: int) -> None:
        view, _ = await fork(storage)
        copies = await storage.history(view.session.key)
        [edited] = [call for copy in copies for call in copy.tool_calls if call.id == "c2"]
        assert (edited.arguments_json, edited.arguments_edited) == (EDITS, True)
        listed = await storage.reads.messages(
            OWNER, "s2", roles=(), turn_id=None, newest_first=False, limit=100, after=None
        )
        assert list(listed.items) == copies

    async def test_has_the_session_s_tools_agent_and_what_the_agents_know(self, storage: Storage, source: int) -> None:
        view, _ = await fork(storage)
        before = await storage.reads.session(OWNER, "s1")
        assert view.client_tools == TOOLS
        assert view.context.current_agent == before.context.current_agent
        assert view.context.work == before.context.work != AgentWork()
        assert (view.context.switch_count, view.context.last_switch) == (0, 0)
        assert (view.session.title, view.session.labels) == (before.session.title, before.session.labels)
        assert (view.session.id, view.session.version) == ("s2", 1)

    async def test_has_a_log_that_starts_at_one_and_says_where_it_comes_from(
        self, storage: Storage, source: int
    ) -> None:
        last = (await storage.history(source))[-1]
        view, count = await fork(storage)
        [event] = await storage.events(view.session.key)
        assert event.sequence == 1
        assert event.payload == SessionForked("s1", last.id, count)
        assert (await storage.reads.locate(OWNER, "s2")).last_sequence == view.last_sequence == 1

    async def test_leaves_its_source_as_it_was(self, storage: Storage, source: int) -> None:
        before = await storage.reads.session(OWNER, "s1"), await storage.events(source)
        await fork(storage)
        assert (await storage.reads.session(OWNER, "s1"), await storage.events(source)) == before

    async def test_goes_on_by_itself_and_uses_no_call_id_twice(self, storage: Storage, source: int) -> None:
        view, count = await fork(storage)
        running = await storage.start("s2")
        assert (await storage.events(view.session.key))[-1].sequence == 4
        await answered(storage, running, read("c1"), read("c3"))
        calls = (await loaded(storage, session_id="s2")).batch
        assert len(calls) == 2
        assert [call.id for call in calls if call.id in ("c1", "c2", "c3")] == ["c3"]
        assert (await storage.reads.session(OWNER, "s1")).session.message_count == count

    async def test_has_no_calls_approvals_turns_or_switches_to_go_on_with(self, storage: Storage, source: int) -> None:
        await fork(storage)
        calls = await storage.reads.open_tool_calls(OWNER, "s2", limit=10, after=None)
        approvals = await storage.reads.approvals(OWNER, "s2", states=(), limit=10, after=None)
        turns = await storage.reads.turns(OWNER, "s2", states=(), limit=10, after=None)
        switches = await storage.reads.switches(OWNER, "s2", newest_first=False, limit=10, after=None)
        assert (calls.items, approvals.items, turns.items, switches.items) == ((), (), (), ())

    async def test_survives_its_source(self, storage: Storage, source: int) -> None:
        view, count = await fork(storage)
        await storage.change(delete)
        assert len(await storage.history(view.session.key)) == count

    async def test_of_a_fork_is_a_fork(self, storage: Storage, source: int) -> None:
        _, count = await fork(storage)
        view, copied = await storage.store.fork(
            OWNER, "s2", "s3", title=None, until_message_id="", correlation_id=CORRELATION, key=None
        )
        assert copied == count
        copies = await storage.history(view.session.key)
        assert [call.arguments_json for copy in copies for call in copy.tool_calls if call.id == "c2"] == [EDITS]

    async def test_of_an_empty_session_is_empty(self, storage: Storage) -> None:
        await storage.new_session()
        view, count = await fork(storage)
        assert count == 0
        [event] = await storage.events(view.session.key)
        assert event.payload == SessionForked("s1", "", 0)

    @pytest.mark.parametrize("title", [None, "", "Another way"])
    async def test_is_called_as_asked(self, storage: Storage, source: int, title: str | None) -> None:
        view, _ = await fork(storage, title=title)
        assert view.session.title == ("first" if title is None else title)


class TestTheBoundary:
    async def test_is_the_last_message_that_is_copied(self, storage: Storage, source: int) -> None:
        history = await storage.history(source)
        boundaries = [0, 1, 2, 5, 6]  # not 3 and 4: between the calls and their last result
        for position, message in enumerate(history):
            if position not in boundaries:
                with pytest.raises(InvalidArgumentError) as caught:
                    await fork(storage, f"cut-{position}", until=message.id)
                assert caught.value.violations[0].field == "until_message_id"
                continue
            view, count = await fork(storage, f"cut-{position}", until=message.id)
            copies = await storage.history(view.session.key)
            assert [content(copy) for copy in copies] == [content(kept) for kept in history[: position + 1]]
            assert count == position + 1
            [event] = await storage.events(view.session.key)
            assert event.payload == SessionForked("s1", message.id, position + 1)

    async def test_copies_the_records_of_the_copied_calls_alone(self, storage: Storage, source: int) -> None:
        history = await storage.history(source)
        await fork(storage, until=history[2].id)
        running = await storage.start("s2")
        await answered(storage, running, read("c1"))
        [call] = (await loaded(storage, session_id="s2")).batch
        assert (call.id, call.state) == ("c1", ToolCallState.OPEN)

    async def test_that_is_no_message_of_the_session_is_refused(self, storage: Storage, source: int) -> None:
        view, _ = await fork(storage)
        copies = await storage.history(view.session.key)
        for wrong in ("msg_0", copies[0].id):
            with pytest.raises(InvalidArgumentError):
                await fork(storage, "s3", until=wrong)


class TestForking:
    async def test_twice_with_one_request_id_forks_once(self, storage: Storage, source: int) -> None:
        first = await fork(storage, request=key())
        await storage.start("s2")
        again, count = await fork(storage, "another-id-made-by-the-runtime", request=key())
        assert (again.session.id, count) == (first[0].session.id, first[1])
        with pytest.raises(SessionNotFoundError):
            await storage.reads.session(OWNER, "another-id-made-by-the-runtime")

    async def test_twice_at_once_with_one_request_id_forks_once(self, storage: Storage, source: int) -> None:
        both = await asyncio.gather(*(fork(storage, request=key()) for _ in range(2)))
        assert {(view.session.id, count) for view, count in both} == {("s2", both[0][1])}

    async def test_something_else_under_a_known_request_id_is_refused(self, storage: Storage, source: int) -> None:
        await fork(storage, request=key())
        with pytest.raises(RequestIdReusedError):
            await fork(storage, "s3", request=key(b"other"))

    async def test_to_an_id_that_is_taken_is_refused_and_leaves_nothing(self, storage: Storage, source: int) -> None:
        await fork(storage)
        for taken in ("s1", "s2"):
            with pytest.raises(SessionAlreadyExistsError):
                await fork(storage, taken)
        await storage.change(delete, "s2")
        with pytest.raises(SessionAlreadyExistsError):
            await fork(storage, "s2")

    async def test_in_the_middle_of_a_turn_is_refused(self, storage: Storage) -> None:
        await asked(storage, read("c1"))
        with pytest.raises(TurnInProgressError):
            await fork(storage)

    async def test_another_owners_session_or_none_is_not_found(self, storage: Storage, source: int) -> None:
        with pytest.raises(SessionNotFoundError):
            await fork(storage, owner_id="bob")
        await storage.change(delete)
        with pytest.raises(SessionNotFoundError):
            await fork(storage)


@pytest.fixture
async def other(database: Database, clock: ManualClock) -> AsyncIterator[Storage]:
    """Another process on the same database."""
    async with running_storage(database, clock) as running:
        yield running


async def test_on_two_replicas_at_once_with_one_request_id_forks_once(
    storage: Storage, other: Storage, source: int
) -> None:
    both = await asyncio.gather(fork(storage, "a", request=key()), fork(other, "b", request=key()))
    assert len({view.session.id for view, _ in both}) == 1
