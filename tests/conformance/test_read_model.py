"""Reads show what was written, in keyset pages that miss and repeat nothing, in a constant number of statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest

from services.application.ports import AgentUsage, Page, PageKey, SessionFilter, SessionView
from services.application.turns.answer_steps import take_model_failure
from services.application.turns.call_policy import Judgement
from services.application.turns.outside_steps import cancel_turn
from services.domain.agent_context import AgentContext
from services.domain.errors import SessionNotFoundError, TurnNotFoundError
from services.domain.input import InputState
from services.domain.message import Message, MessageToolCall, Role
from services.domain.model_exchange import ModelError, Usage
from services.domain.session import SessionState
from services.domain.session_change import Lookup
from services.domain.session_events import ReasoningDelta
from services.domain.turn import CancelCause, TurnState
from tests.support.statements import recorded_statements
from tests.support.storage import CORRELATION, OWNER, Running, Storage, a_session, text_of

T = TypeVar("T")

ALL = SessionFilter()


async def whole_list(read: Callable[[PageKey | None], Awaitable[Page[T]]]) -> list[T]:
    """Every item of a list, page by page."""
    items: list[T] = []
    after: PageKey | None = None
    while True:
        page = await read(after)
        assert page.items or after is None
        items.extend(page.items)
        if page.next_after is None:
            return items
        after = page.next_after


async def session_ids(storage: Storage, where: SessionFilter = ALL, limit: int = 100) -> list[str]:
    async def read(after: PageKey | None) -> Page[SessionView]:
        return await storage.reads.sessions(OWNER, where=where, limit=limit, after=after)

    return [view.session.id for view in await whole_list(read)]


async def messages(storage: Storage, **options: object) -> list[Message]:
    async def read(after: PageKey | None) -> Page[Message]:
        given: dict[str, object] = {"roles": (), "turn_id": None, "newest_first": False, "limit": 2}
        return await storage.reads.messages(OWNER, "s1", after=after, **(given | options))  # type: ignore[arg-type]

    return await whole_list(read)


async def statements_of(read: Callable[[], Awaitable[object]]) -> int:
    with recorded_statements() as statements:
        await read()
    return len(statements)


async def some_turns(storage: Storage, count: int) -> list[Running]:
    """A session with finished turns, one second apart."""
    await storage.new_session()
    turns = []
    for n in range(count):
        storage.clock.advance(1)
        turns.append(await storage.start(text=f"question {n}"))
        await storage.answer(turns[-1], f"answer {n}")
    return turns


class TestTheListOfSessions:
    async def test_is_empty_for_a_new_owner(self, storage: Storage) -> None:
        assert await session_ids(storage) == []

    async def test_shows_the_most_recently_active_first(self, storage: Storage) -> None:
        for n in range(3):
            await storage.new_session(f"s{n}")
            storage.clock.advance(1)
        await storage.start("s0")
        assert await session_ids(storage) == ["s0", "s2", "s1"]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    async def test_is_complete_and_free_of_doubles_however_long_its_pages_are(
        self, storage: Storage, limit: int
    ) -> None:
        for n in range(7):
            await storage.new_session(f"s{n}")
            storage.clock.advance(n % 3 / 1_000_000)  # ties, and neighbours a microsecond apart
        listed = await session_ids(storage, limit=limit)
        assert listed == await session_ids(storage, limit=100)
        assert sorted(listed) == [f"s{n}" for n in range(7)]

    async def test_misses_and_repeats_nothing_while_sessions_are_added(self, storage: Storage) -> None:
        for n in range(6):
            await storage.new_session(f"old{n}")
        seen: list[str] = []
        after: PageKey | None = None
        for n in range(20):
            page = await storage.reads.sessions(OWNER, where=ALL, limit=2, after=after)
            seen.extend(view.session.id for view in page.items)
            storage.clock.advance(1)
            await storage.new_session(f"new{n}")
            after = page.next_after
            if after is None:
                break
        assert sorted(id_ for id_ in seen if id_.startswith("old")) == [f"old{n}" for n in range(6)]
        assert len(seen) == len(set(seen))

    async def test_takes_as_many_statements_for_a_hundred_sessions_as_for_one(self, storage: Storage) -> None:
        await storage.new_session("s0")

        async def read() -> Page[SessionView]:
            return await storage.reads.sessions(OWNER, where=ALL, limit=100, after=None)

        await read()
        for_one = await statements_of(read)
        for n in range(1, 100):
            await storage.new_session(f"s{n}")
        assert len((await read()).items) == 100
        assert await statements_of(read) == for_one

    async def test_ends_a_page_early_when_its_sessions_are_large(self, storage: Storage) -> None:
        for n in range(4):
            await storage.new_session(f"s{n}", description="x" * 600_000)
        page = await storage.reads.sessions(OWNER, where=ALL, limit=10, after=None)
        assert len(page.items) == 1
        assert len(await session_ids(storage, limit=10)) == 4

    async def test_shows_each_sessions_agent_head_and_active_turn(self, storage: Storage) -> None:
        running = await storage.start_in_new_session("busy")
        session = a_session("idle", OWNER, storage.clock)
        await storage.store.create(session, AgentContext("coder", 3), allow_existing=False, key=None)
        page = await storage.reads.sessions(OWNER, where=ALL, limit=10, after=None)
        views = {view.session.id: view for view in page.items}
        assert (views["busy"].active_turn_id, views["busy"].last_sequence) == (running.turn.id, 3)
        assert (views["idle"].active_turn_id, views["idle"].last_sequence) == (None, 0)
        assert views["idle"].context == AgentContext("coder", 3)
        for id_, view in views.items():
            assert await storage.reads.session(OWNER, id_) == view

    async def test_can_be_restricted(self, storage: Storage) -> None:
        start = storage.clock.now()
        await storage.new_session("inactive", state=SessionState.INACTIVE)
        storage.clock.advance(10)
        middle = storage.clock.now()
        await storage.new_session("later")
        for where, expected in [
            (SessionFilter(states=(SessionState.INACTIVE,)), ["inactive"]),
            (SessionFilter(states=(SessionState.ACTIVE, SessionState.INACTIVE)), ["later", "inactive"]),
            (SessionFilter(current_agent="universal"), ["later", "inactive"]),
            (SessionFilter(current_agent="nobody"), []),
            (SessionFilter(active_since=middle), ["later"]),
            (SessionFilter(active_before=middle), ["inactive"]),
            (SessionFilter(active_since=start, active_before=middle + timedelta(seconds=1)), ["later", "inactive"]),
            (SessionFilter(states=(SessionState.ACTIVE,), active_before=middle), []),
        ]:
            assert await session_ids(storage, where, limit=1) == expected, where

    @pytest.mark.parametrize(
        "value",
        ["plain", "", 'with "quotes"', "back\\slash", "ends in \\", "ünïcode 👩‍👩‍👧", "a%b_c", "new\nline", "'; DROP"],
    )
    async def test_finds_exactly_the_sessions_with_a_label(self, storage: Storage, value: str) -> None:
        await storage.new_session("wanted", labels={"first": "1", "name": value, "z": "2"})
        await storage.new_session("longer", labels={"name": value + "x"})
        await storage.new_session("prefixed", labels={"name": "x" + value})
        await storage.new_session("other-name", labels={"surname": value, "name2": value})
        await storage.new_session("quoted", labels={"other": f'"name":"{value}"'})
        await storage.new_session("bare")
        assert await session_ids(storage, SessionFilter(labels=(("name", value),))) == ["wanted"]
        both = SessionFilter(labels=(("name", value), ("z", "2")))
        assert await session_ids(storage, both) == ["wanted"]
        neither = SessionFilter(labels=(("name", value), ("z", "3")))
        assert await session_ids(storage, neither) == []


class TestMessages:
    async def test_come_in_order_or_backwards_page_by_page(self, storage: Storage) -> None:
        await some_turns(storage, 3)
        forwards = await messages(storage)
        assert [m.ordinal for m in forwards] == [1, 2, 3, 4, 5, 6]
        assert [m.content for m in forwards[:2]] == ["question 0", "answer 0"]
        assert await messages(storage, newest_first=True) == forwards[::-1]
        assert await messages(storage, limit=100) == forwards

    async def test_can_be_restricted_to_roles_and_a_turn(self, storage: Storage) -> None:
        turns = await some_turns(storage, 3)
        assert [m.ordinal for m in await messages(storage, roles=(Role.USER,), limit=1)] == [1, 3, 5]
        assert [m.ordinal for m in await messages(storage, turn_id=turns[1].turn.id)] == [3, 4]
        assert [m.ordinal for m in await messages(storage, roles=(Role.TOOL,))] == []

    async def test_of_a_growing_session_are_neither_missed_nor_repeated(self, storage: Storage) -> None:
        await some_turns(storage, 2)

        async def read(after: PageKey | None) -> Page[Message]:
            page = await storage.reads.messages(
                OWNER, "s1", roles=(), turn_id=None, newest_first=False, limit=3, after=after
            )
            if after is None:
                await storage.answer(await storage.start(), "meanwhile")
            return page

        assert [m.ordinal for m in await whole_list(read)] == [1, 2, 3, 4, 5, 6]

    async def test_that_are_large_end_a_page_early(self, storage: Storage) -> None:
        await storage.new_session()
        for _ in range(3):
            await storage.answer(await storage.start(text="x" * 600_000), "y")
        assert len(await messages(storage, limit=100)) == 6
        page = await storage.reads.messages(
            OWNER, "s1", roles=(), turn_id=None, newest_first=False, limit=100, after=None
        )
        assert len(page.items) == 2

    async def test_are_the_history_the_model_sees(self, storage: Storage) -> None:
        turns = await some_turns(storage, 2)
        assert await storage.history(turns[0].claim.session_key) == await messages(storage)


class TestTurns:
    async def test_are_listed_newest_first_page_by_page(self, storage: Storage) -> None:
        turns = await some_turns(storage, 5)
        for limit in (1, 2, 5):
            listed = await whole_list(
                lambda after, limit=limit: storage.reads.turns(  # type: ignore[misc]
                    OWNER, "s1", states=(), limit=limit, after=after
                )
            )
            assert [turn.id for turn in listed] == [running.turn.id for running in reversed(turns)]

    async def test_can_be_restricted_to_states(self, storage: Storage) -> None:
        [done] = await some_turns(storage, 1)
        failed = await storage.start()
        error = ModelError("no", retryable=True)
        await storage.store.step(
            failed.claim, lambda change: take_model_failure(change, error, ""), correlation_id=CORRELATION
        )
        running = await storage.start()
        for states, expected in [
            ((TurnState.COMPLETED,), [done]),
            ((TurnState.FAILED,), [failed]),
            ((TurnState.RUNNING, TurnState.FAILED), [running, failed]),
            ((TurnState.CANCELLED,), []),
        ]:
            page = await storage.reads.turns(OWNER, "s1", states=states, limit=10, after=None)
            assert [turn.id for turn in page.items] == [one.turn.id for one in expected]

    async def test_take_as_many_statements_for_twenty_as_for_one(self, storage: Storage) -> None:
        await some_turns(storage, 1)

        async def read() -> Page[object]:
            return await storage.reads.turns(OWNER, "s1", states=(), limit=50, after=None)  # type: ignore[return-value]

        await read()
        for_one = await statements_of(read)
        for _ in range(19):
            await storage.answer(await storage.start(), "more")
        assert len((await read()).items) == 20
        assert await statements_of(read) == for_one

    async def test_show_the_calls_they_wait_for(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        calls = [MessageToolCall(call_id, "read_file", "{}") for call_id in ("c2", "c1", "c3")]
        await storage.answer(running, "", calls, [Judgement()] * 3)
        turn = await storage.reads.turn(OWNER, "s1", running.turn.id)
        assert turn.wait is not None
        assert turn.wait.open_tool_call_ids == ("c2", "c1", "c3")
        listed = await whole_list(lambda after: storage.reads.open_tool_calls(OWNER, "s1", limit=2, after=after))
        assert [call.id for call in listed] == ["c2", "c1", "c3"]

    async def test_that_are_not_of_this_session_are_not_found(self, storage: Storage) -> None:
        running = await storage.start_in_new_session("s1")
        await storage.new_session("s2")
        for session_id, turn_id in [("s1", "turn_0"), ("s2", running.turn.id)]:
            with pytest.raises(TurnNotFoundError):
                await storage.reads.turn(OWNER, session_id, turn_id)
        with pytest.raises(SessionNotFoundError):
            await storage.reads.turn(OWNER, "nowhere", running.turn.id)

    async def test_end_at_the_first_event_that_ends_them(self, storage: Storage) -> None:
        first, second = await some_turns(storage, 2)
        key = first.claim.session_key
        events = await storage.events(key)
        ends = [event.sequence for event in events if type(event.payload).__name__ == "TurnCompleted"]
        assert [await ends_at(storage, one) for one in (first, second)] == ends
        assert await ends_at(storage, await storage.start()) is None


async def ends_at(storage: Storage, running: Running) -> int | None:
    """Where the stream of the input ends that started this turn."""
    progress = await storage.reads.input_progress(running.claim.session_key, running.turn.input_id)
    assert (progress.state, progress.turn_id) == (InputState.TAKEN, running.turn.id)
    return progress.ends_at


class TestUsage:
    async def test_sums_by_agent_over_one_session_or_all_of_the_owners(self, storage: Storage) -> None:
        await some_turns(storage, 2)
        await storage.answer(await storage.start_in_new_session("s2"), "x")
        await storage.answer(await storage.start_in_new_session("s1", "bob"), "not ann's")

        async def usage(session_id: str | None) -> list[AgentUsage]:
            return await storage.reads.agent_usage(OWNER, session_id, since=None, before=None)

        assert await usage("s1") == [AgentUsage("universal", 1, 2, 0, 2, 0, Usage(2, 2))]
        assert await usage(None) == [AgentUsage("universal", 2, 3, 0, 3, 0, Usage(3, 3))]

    async def test_counts_turns_that_began_in_the_range(self, storage: Storage) -> None:
        start = storage.clock.now()
        await some_turns(storage, 3)  # they begin one, two and three seconds later

        async def turns(since: float | None, before: float | None) -> int:
            found = await storage.reads.agent_usage(
                OWNER,
                None,
                since=None if since is None else start + timedelta(seconds=since),
                before=None if before is None else start + timedelta(seconds=before),
            )
            return sum(one.turns for one in found)

        for bounds, count in {(None, None): 3, (2, None): 2, (None, 2): 1, (1, 3): 2, (4, None): 0}.items():
            assert await turns(*bounds) == count, bounds


class TestTheSnapshot:
    async def test_holds_the_running_turn_with_its_text_so_far(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.say(running, "Once upon")
        await storage.published.until_said(running.claim, "Once upon")
        thought = storage.delta(running, ReasoningDelta(running.message_id, "hmm"))
        await storage.writer.write(running.claim, thought)
        await storage.say(running, " a time")
        await storage.published.until_said(running.claim, " a time")
        snapshot = await storage.reads.snapshot(OWNER, "s1")
        assert snapshot.turn == running.turn
        assert (snapshot.draft_message_id, snapshot.draft_text, snapshot.draft_reasoning) == (
            running.message_id,
            "Once upon a time",
            "hmm",
        )
        assert snapshot.as_of_sequence == len(await storage.events(running.claim.session_key))

    async def test_of_an_idle_session_has_no_turn_and_no_draft(self, storage: Storage) -> None:
        await some_turns(storage, 1)
        snapshot = await storage.reads.snapshot(OWNER, "s1")
        assert (snapshot.turn, snapshot.draft_message_id, snapshot.draft_text) == (None, None, "")
        assert snapshot.view == await storage.reads.session(OWNER, "s1")

    async def test_leaves_out_the_text_of_an_attempt_that_is_void(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        await storage.say(running, "first try")
        await storage.answer(running, "first try", [MessageToolCall("c1", "read_file", "{}")])
        await storage.say(running, "second")
        await storage.published.until_said(running.claim, "second")
        assert (await storage.reads.snapshot(OWNER, "s1")).draft_text == "second"

    async def test_is_of_one_moment_while_the_session_changes(self, storage: Storage) -> None:
        running = await storage.start_in_new_session()
        key = running.claim.session_key

        async def talk() -> None:
            for n in range(30):
                await storage.say(running, f"{n};")
                await storage.published.until_said(running.claim, f"{n};")

        talking = asyncio.create_task(talk())
        while not talking.done():
            snapshot = await storage.reads.snapshot(OWNER, "s1")
            upto = [e for e in await storage.events(key) if e.sequence <= snapshot.as_of_sequence]
            assert snapshot.draft_text == text_of(upto)
        await talking

    async def test_of_no_session_is_not_found(self, storage: Storage) -> None:
        with pytest.raises(SessionNotFoundError):
            await storage.reads.snapshot(OWNER, "nowhere")


async def test_a_cancelled_turn_keeps_the_text_that_was_durable(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    await storage.say(running, "so far")
    await storage.published.until_said(running.claim, "so far")
    await storage.store.change(
        OWNER,
        "s1",
        lambda change: cancel_turn(change, cause=CancelCause.USER, cancelled_by="ann"),
        correlation_id=CORRELATION,
        lookup=Lookup(draft_text=True),
    )
    last = (await storage.history(running.claim.session_key))[-1]
    assert (last.id, last.content, last.complete) == (running.message_id, "so far", False)


async def test_a_session_is_located_by_its_owners_name_for_it(storage: Storage) -> None:
    running = await storage.start_in_new_session()
    location = await storage.reads.locate(OWNER, "s1")
    assert (location.session_key, location.last_sequence) == (running.claim.session_key, 3)
    with pytest.raises(SessionNotFoundError):
        await storage.reads.locate(OWNER, "nowhere")
