"""Approvals are found again by their owner alone, page by page, as they were asked for and decided."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.application.ports import PageKey
from services.domain.approval import ApprovalState, Decision
from services.domain.errors import ApprovalNotFoundError, SessionNotFoundError
from tests.support.conversation import read, write
from tests.support.statements import recorded_statements
from tests.support.storage import (
    OWNER,
    Storage,
)
from tests.support.stored_turns import (
    approval_of,
    asked,
    decision,
    loaded,
)


async def approvals(
    storage: Storage, session_id: str | None = None, owner_id: str = OWNER, limit: int = 2, states: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """(session, call) of every approval, page by page."""
    found = []
    after: PageKey | None = None
    while True:
        page = await storage.reads.approvals(
            owner_id, session_id, states=tuple(map(ApprovalState, states)), limit=limit, after=after
        )
        found += [(view.session_id, view.approval.tool_call_id) for view in page.items]
        if (after := page.next_after) is None:
            return found


class TestApprovals:
    async def test_are_read_as_they_were_written(self, storage: Storage) -> None:
        await asked(storage, write("c1", "ü.md", "a\x00\u202eb"))
        [pending] = (await loaded(storage)).approvals
        assert await storage.reads.approval(OWNER, "s1", pending.id) == pending
        assert (pending.rule_id, pending.reason, pending.has_hidden_characters) == ("rule-1", "it writes", True)
        storage.clock.advance(5)
        await storage.send(decision(pending, Decision.REJECT))
        decided = await storage.reads.approval(OWNER, "s1", pending.id)
        assert (decided.state, decided.decided_by, decided.resolve_time) == (
            ApprovalState.REJECTED,
            OWNER,
            storage.clock.now(),
        )

    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    async def test_of_all_sessions_are_listed_oldest_first_page_by_page(self, storage: Storage, limit: int) -> None:
        expected = []
        for n in range(3):
            await asked(storage, write("c1", "a"), write("c2", "b"), session_id=f"s{n}")
            expected.append({(f"s{n}", "c1"), (f"s{n}", "c2")})
            storage.clock.advance(1)
        listed = await approvals(storage, limit=limit)
        assert [set(listed[2 * n : 2 * n + 2]) for n in range(3)] == expected
        assert len(listed) == 6
        assert set(await approvals(storage, "s1", limit=limit)) == expected[1]

    async def test_can_be_restricted_to_states(self, storage: Storage) -> None:
        await asked(storage, *(write(f"c{n}", f"{n}") for n in range(4)))
        await storage.send(decision(await approval_of(storage, "c0")))
        await storage.send(decision(await approval_of(storage, "c1"), Decision.REJECT))
        for states, calls in {
            ("PENDING",): {"c2", "c3"},
            ("APPROVED",): {"c0"},
            ("APPROVED", "REJECTED"): {"c0", "c1"},
            ("EXPIRED",): set(),
            (): {"c0", "c1", "c2", "c3"},
        }.items():
            assert {call for _, call in await approvals(storage, states=states)} == calls, states

    async def test_are_an_owners_own(self, storage: Storage) -> None:
        await asked(storage, write("c1"), session_id="hers", owner_id="bob")
        await asked(storage, write("c2"), session_id="s1")
        page = await storage.reads.approvals(OWNER, None, states=(), limit=10, after=None)
        assert [view.session_id for view in page.items] == ["s1"]
        hers = await approval_of(storage, "c1", "hers", "bob")
        assert await approvals(storage, owner_id="carl") == []
        for use in (
            lambda: storage.reads.approval(OWNER, "hers", hers.id),
            lambda: storage.reads.approvals(OWNER, "hers", states=(), limit=10, after=None),
        ):
            with pytest.raises(SessionNotFoundError):
                await use()
        with pytest.raises(ApprovalNotFoundError):
            await storage.reads.approval(OWNER, "s1", hers.id)
        with pytest.raises(ApprovalNotFoundError):
            await storage.send(decision(hers), "s1")
        assert (await approval_of(storage, "c1", "hers", "bob")).state is ApprovalState.PENDING

    async def test_take_as_many_statements_for_thirty_as_for_one(self, storage: Storage) -> None:
        await asked(storage, write("c1"), session_id="s0")

        async def statements() -> int:
            with recorded_statements() as recorded:
                await storage.reads.approvals(OWNER, None, states=(), limit=100, after=None)
            return len(recorded)

        await statements()
        for_one = await statements()
        for n in range(1, 10):
            await asked(storage, *(write(f"c{k}", f"{k}") for k in range(3)), session_id=f"s{n}")
        assert await statements() == for_one

    async def test_that_are_large_end_a_page_early(self, storage: Storage) -> None:
        calls = [write(f"c{n}", f"{n}.py", "x" * 400_000) for n in range(3)]
        await asked(storage, *calls)
        page = await storage.reads.approvals(OWNER, None, states=(), limit=100, after=None)
        assert 1 <= len(page.items) < 3
        assert len(await approvals(storage, limit=100)) == 3

    async def test_in_the_snapshot_are_what_waits_now(self, storage: Storage) -> None:
        await asked(storage, read("c0"), write("c1", "a"), write("c2", "b"))
        await storage.send(decision(await approval_of(storage, "c1"), Decision.REJECT))
        snapshot = await storage.reads.snapshot(OWNER, "s1")
        assert [call.id for call in snapshot.open_calls] == ["c0"]
        assert [approval.tool_call_id for approval in snapshot.pending_approvals] == ["c2"]
        assert snapshot.pending_approvals[0].display == ""
        assert snapshot.turn is not None
        assert snapshot.turn.wait is not None
        assert snapshot.turn.wait.pending_approval_ids == (snapshot.pending_approvals[0].id,)
