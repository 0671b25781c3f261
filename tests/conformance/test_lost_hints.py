"""Whoever comes to a session sees at once what another replica has written, though nobody here was told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from services.application.event_stream import EventStream, StreamSettings
from services.application.idempotency import fields_of, key_for
from services.application.messages.send_message import SendMessage
from services.application.messages.watch_session import WatchSession
from services.application.ports import Principal
from services.application.turns.input_acceptance import remembered
from services.application.turns.inputs.accept import accept
from services.application.turns.inputs.accepted_input import Sender
from services.application.turns.outside_steps import cancel_turn
from services.domain.input import UserMessage
from services.domain.session_change import SessionChange
from services.domain.session_events import SessionEvent
from services.domain.turn import CancelCause
from services.infrastructure.persistence.session_store import SqlSessionStore
from tests.support.storage import CORRELATION, LIMITS, OWNER, POLICY, Storage

Opened = Callable[[Storage, int], Awaitable[EventStream]]

ANN = Principal("key", OWNER)
HELLO = UserMessage("hello")
KEY = key_for(ANN, "SendMessage", "r1", session_id="s1", expected_turn_id="", **fields_of(HELLO))
# Long enough that only what is known at the start is seen soon.
SETTINGS = StreamSettings(heartbeat=600.0)


class Nothing:
    """Stands for what a re-attachment must not use."""


async def sending(storage: Storage, after: int) -> EventStream:
    nothing: object = Nothing()
    send = SendMessage(
        nothing,  # type: ignore[arg-type]
        storage.store,
        storage.reads,
        storage.feed,
        storage.clock,
        SETTINGS,
    )
    return await send.execute(
        ANN,
        session_id="s1",
        request_id="r1",
        content=HELLO,
        expected_turn_id="",
        after_sequence=after,
        detach=False,
        correlation_id=CORRELATION,
    )


async def watching(storage: Storage, after: int) -> EventStream:
    watch = WatchSession(storage.reads, storage.feed, storage.clock, SETTINGS)
    return await watch.execute(ANN, session_id="s1", after_sequence=after, snapshot=False, stop_at_head=False)


@pytest.mark.parametrize("behind", [0, 1], ids=["at what is known here", "before it"])
@pytest.mark.parametrize("open_stream", [sending, watching])
async def test_a_new_reader_need_not_wait_for_a_hint(storage: Storage, open_stream: Opened, behind: int) -> None:
    def begin(change: SessionChange) -> None:
        accepted = accept(change, HELLO, Sender("r1", OWNER), POLICY, LIMITS)
        change.outcome = remembered(change.session.key, accepted)

    view = await storage.new_session()
    early = storage.feed.subscribe(view.session.key, 0)
    try:
        await early.next(0)
        begun = await storage.store.change(OWNER, "s1", begin, correlation_id=CORRELATION, key=KEY)
        known = begun.present().last_sequence
        while early.position < known:
            assert await early.next(1) is not None
        elsewhere = SqlSessionStore(
            storage.database, storage.writer, lambda key, events: None, storage.clock, incarnation=lambda: "elsewhere"
        )
        await elsewhere.change(
            OWNER,
            "s1",
            lambda change: cancel_turn(change, cause=CancelCause.USER, cancelled_by=OWNER),
            correlation_id=CORRELATION,
        )
        stream = await open_stream(storage, known - behind)
        seen: list[int] = []
        async with asyncio.timeout(10), aclosing(stream.items()) as items:
            async for batch in items:
                seen += [item.sequence for item in batch if isinstance(item, SessionEvent)]
                if seen[-1] > known:
                    break
        assert seen == list(range(known - behind + 1, known + 2))
        # And who was here before hears of it.
        page = await early.next(1)
        assert page is not None
        assert page.through == known + 1
    finally:
        early.close()
