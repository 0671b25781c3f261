"""A turn with tools finds in storage what it left there: its batch, its calls and approvals, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from services.application.ports import FencedError, IdempotencyKey
from services.domain.approval import ApprovalState, Decision
from services.domain.errors import ApprovalResolvedError
from services.domain.message import Role
from services.domain.session_change import Lookup
from services.domain.tool_call import ToolCallState
from tests.support.conversation import done, read, write
from tests.support.storage import (
    OWNER,
    Running,
    Storage,
    kinds,
    note,
)
from tests.support.stored_turns import (
    TOOLS,
    answered,
    approval_of,
    asked,
    decision,
    loaded,
    results,
    with_client_tools,
)


class TestTheBatchOfAWaitingTurn:
    async def test_is_loaded_whole_in_the_order_of_the_model(self, storage: Storage) -> None:
        await asked(storage, read("z"), write("a", "b.py"), read("m", "b.py"), done("d"))
        await storage.send(results("z"))
        batch = (await loaded(storage)).batch
        assert [(call.id, call.state) for call in batch] == [
            ("z", ToolCallState.SETTLED),
            ("a", ToolCallState.HELD),
            ("m", ToolCallState.WAITING),
            ("d", ToolCallState.WAITING),
        ]
        assert [approval.tool_call_id for approval in (await loaded(storage)).approvals] == ["a"]

    async def test_is_that_of_the_last_answer_alone(self, storage: Storage) -> None:
        running = await asked(storage, read("c1"))
        running = storage.run(await storage.send(results("c1")))
        await answered(storage, running, read("c2"), read("c3"))
        aggregate = await loaded(storage)
        assert [call.id for call in aggregate.batch] == ["c2", "c3"]
        assert aggregate.turn is not None
        assert aggregate.turn.batch_ordinal == aggregate.batch[0].message_ordinal

    async def test_is_none_while_the_turn_runs_or_when_it_is_over(self, storage: Storage) -> None:
        await asked(storage, read("c1"), write("c2"))
        await storage.send(decision(await approval_of(storage, "c2"), Decision.REJECT))
        running = storage.run(await storage.send(results("c1")))
        assert (await loaded(storage)).batch == ()
        await storage.answer(running, "done")
        aggregate = await loaded(storage)
        assert (aggregate.batch, aggregate.approvals, aggregate.turn) == ((), (), None)

    async def test_lists_approvals_in_the_order_they_were_asked_for(self, storage: Storage) -> None:
        await asked(storage, *(write(f"c{n}", f"{n}.py") for n in (3, 1, 4, 2)))
        pending = (await loaded(storage)).approvals
        assert [approval.tool_call_id for approval in pending] == ["c3", "c1", "c4", "c2"]

    async def test_survives_what_makes_a_turn_go_on_elsewhere(self, storage: Storage) -> None:
        running = await asked(storage, read("c1"))
        elsewhere = storage.run(await storage.send(results("c1")))
        assert elsewhere.claim.epoch > running.claim.epoch
        with pytest.raises(FencedError):
            await storage.answer(running, "not mine any more")
        await storage.answer(elsewhere, "done")

    async def test_is_measured_by_the_databases_clock(self, storage: Storage) -> None:
        await storage.new_session()
        one = (await loaded(storage)).deadline_now
        storage.clock.advance(10_000)
        other = (await loaded(storage)).deadline_now
        assert 0 <= (other - one).total_seconds() < 60
        assert one.tzinfo is not None


class TestALookup:
    async def test_finds_the_calls_and_approvals_it_names_whatever_their_state(self, storage: Storage) -> None:
        await asked(storage, read("c1"), write("c2", "b"), write("c3", "c"))
        await storage.send(results("c1"))
        approval = await approval_of(storage, "c2")
        await storage.send(decision(approval, Decision.REJECT))
        found = await loaded(storage, Lookup(call_ids=("c1", "c3", "c9"), approval_ids=(approval.id, "approval_0")))
        assert {id_: call.state for id_, call in found.known_calls.items()} == {
            "c1": ToolCallState.SETTLED,
            "c3": ToolCallState.HELD,
        }
        assert {id_: each.state for id_, each in found.known_approvals.items()} == {approval.id: ApprovalState.REJECTED}

    async def test_finds_nothing_it_does_not_name(self, storage: Storage) -> None:
        await asked(storage, read("c1"), write("c2", "b"))
        found = await loaded(storage)
        assert (found.known_calls, found.known_approvals, found.client_tools, found.draft_text) == ({}, {}, (), "")

    async def test_finds_nothing_of_another_session_or_owner(self, storage: Storage) -> None:
        await asked(storage, write("c1"), session_id="hers", owner_id="bob")
        await asked(storage, write("c1"), session_id="other")
        await storage.new_session("s1")
        ids = [(await approval_of(storage, "c1", *whose)).id for whose in (("hers", "bob"), ("other", OWNER))]
        found = await loaded(storage, Lookup(call_ids=("c1",), approval_ids=tuple(ids)))
        assert (found.known_calls, found.known_approvals) == ({}, {})

    async def test_brings_the_clients_tools(self, storage: Storage) -> None:
        await with_client_tools(storage)
        assert (await loaded(storage, Lookup(client_tools=True))).client_tools == TOOLS


class TestAChangeThatWritesNothing:
    async def test_adds_no_event_and_tells_nobody(self, storage: Storage) -> None:
        running = await asked(storage, read("c1"), read("c2", "b"))
        await storage.leases.register(storage.incarnation.name, 60)
        first = await storage.send(results("c1"))
        head, published = await _head(storage, running), len(storage.published.of(running.claim))
        again = await storage.send(results("c1"))
        assert (again.events, again.claim, again.repeated) == ((), None, False)
        assert again.outcome == first.outcome, "the input it was accepted as"
        assert await _head(storage, running) == head
        assert len(storage.published.of(running.claim)) == published

    async def test_leaves_the_control_number_alone(self, storage: Storage) -> None:
        await storage.leases.register(storage.incarnation.name, 60)
        await storage.start_in_new_session()
        [before] = await storage.leases.renew(storage.incarnation.name, 60) or []
        await storage.change(lambda _: None)
        assert await storage.leases.renew(storage.incarnation.name, 60) == [before]
        await storage.change(note)
        assert await storage.leases.renew(storage.incarnation.name, 60) != [before]

    async def test_is_remembered_under_its_request_id(self, storage: Storage) -> None:
        await asked(storage, read("c1"), read("c2", "b"))
        first = await storage.send(results("c1"))
        key = IdempotencyKey(OWNER, "SendMessage", "r2", bytes(32))
        again = await storage.send(results("c1"), key=key)
        assert (again.outcome, again.repeated) == (first.outcome, False)
        assert await storage.store.recall(key) == first.outcome
        assert (await storage.send(results("c1"), key=key)).repeated


async def _head(storage: Storage, running: Running) -> tuple[int, int]:
    location = await storage.reads.locate(OWNER, "s1")
    return location.last_sequence, len(await storage.events(running.claim.session_key))


class TestManyAtOnce:
    async def test_who_decide_differently_find_one_winner(self, storage: Storage) -> None:
        running = await asked(storage, write("c1"))
        approval = await approval_of(storage)
        choices = [decision(approval, Decision.APPROVE), decision(approval, Decision.REJECT)] * 5
        done_by = await asyncio.gather(
            *(storage.send(choice, owner_id=OWNER) for choice in choices), return_exceptions=True
        )
        lost = [each for each in done_by if isinstance(each, BaseException)]
        assert len(lost) == 5
        assert all(isinstance(error, ApprovalResolvedError) for error in lost)
        events = kinds(await storage.events(running.claim.session_key))
        assert events.count("ApprovalResolved") == 1
        assert events.count("ToolCallsRequested") + events.count("ToolResultRecorded") == 1

    async def test_who_decide_the_same_are_all_told_the_same(self, storage: Storage) -> None:
        await asked(storage, write("c1"))
        approval = await approval_of(storage)
        done_by = await asyncio.gather(*(storage.send(decision(approval)) for _ in range(10)))
        assert len({committed.outcome for committed in done_by}) == 1
        assert sum(bool(committed.events) for committed in done_by) == 1

    async def test_who_send_the_same_result_leave_one(self, storage: Storage) -> None:
        running = await asked(storage, read("c1"))
        sent = await asyncio.gather(*(storage.send(results("c1")) for _ in range(10)))
        assert len({committed.outcome for committed in sent}) == 1
        assert [committed.claim is not None for committed in sent].count(True) == 1
        history = await storage.history(running.claim.session_key)
        assert [message.tool_call_id for message in history if message.role is Role.TOOL] == ["c1"]

    async def test_who_send_each_a_result_of_one_batch_continue_it_once(self, storage: Storage) -> None:
        ids = [f"c{n}" for n in range(8)]
        running = await asked(storage, *(read(id_, id_) for id_ in ids))
        sent = await asyncio.gather(*(storage.send(results(id_)) for id_ in ids))
        assert sum(committed.claim is not None for committed in sent) == 1
        events = kinds(await storage.events(running.claim.session_key))
        assert (events.count("TurnResumed"), events.count("ToolResultRecorded")) == (1, 8)
