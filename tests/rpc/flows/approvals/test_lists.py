"""Approvals are listed by session, state and page, oldest first, and to their owner alone."""

from __future__ import annotations

import pytest

from agent_runtime.v1 import approval_pb2
from devtools.scripted_model import ScriptedModel
from tests.support.refused_calls import wrong_fields
from tests.support.runtime_client import RuntimeClient, every_page, refused
from tests.support.tool_turns import approvals_in, begin, calls, write

PENDING, APPROVED, REJECTED = (
    approval_pb2.APPROVAL_STATE_PENDING,
    approval_pb2.APPROVAL_STATE_APPROVED,
    approval_pb2.APPROVAL_STATE_REJECTED,
)


async def test_lists_are_narrowed_by_session_and_state(
    client: RuntimeClient, other_client: RuntimeClient, model: ScriptedModel
) -> None:
    first_id, events = await begin(client, model, calls(*(write(id, id) for id in ("c1", "c2", "c3"))))
    asked = approvals_in(events)
    second_id, events = await begin(client, model, calls(write("c4", "c4")))
    asked |= approvals_in(events)
    await client.decide(asked["c2"])
    await client.decide(asked["c3"], approval_pb2.DECISION_REJECT)

    async def ids(owner: RuntimeClient = client, **filters: object) -> list[str]:
        return [each.tool_call_id for each in (await owner.list_approvals(**filters)).approvals]

    assert await ids() == ["c1", "c4"]
    assert await ids(session_id=first_id) == ["c1"]
    assert await ids(states=[APPROVED]) == ["c2"]
    assert await ids(states=[APPROVED, REJECTED]) == ["c2", "c3"]
    assert await ids(states=[PENDING, APPROVED, REJECTED]) == ["c1", "c2", "c3", "c4"]
    assert await ids(session_id=second_id, states=[APPROVED, REJECTED]) == []
    assert await ids(other_client) == []
    async with refused() as refusal:
        await ids(other_client, session_id=first_id)
    assert refusal().reason == "SESSION_NOT_FOUND"
    await wrong_fields(client.list_approvals(states=[approval_pb2.APPROVAL_STATE_UNSPECIFIED]))


@pytest.mark.parametrize("page_size", [1, 2, 3])
async def test_pages_hold_each_once(client: RuntimeClient, model: ScriptedModel, page_size: int) -> None:
    session_id, events = await begin(client, model, calls(*(write(f"f{n}", f"c{n}") for n in range(5))))
    asked = [*approvals_in(events).values()]
    for filters in ({"session_id": session_id}, {}):
        pages = await every_page(
            lambda token, filters=filters: client.list_approvals(  # type: ignore[misc]
                page_size=page_size, page_token=token, **filters
            )
        )
        assert [each for page in pages for each in page.approvals] == asked
        assert all(0 < len(page.approvals) <= page_size for page in pages)
    token = (await client.list_approvals(session_id=session_id, page_size=1)).next_page_token
    assert list(await wrong_fields(client.list_approvals(page_token=token))) == ["page_token"]
