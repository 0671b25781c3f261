"""Changes of sessions: lock, load, decide, write, commit; then publish what was committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection, select

from services.application.ports import (
    Claim,
    Clock,
    Committed,
    Decision,
    FencedError,
    Growth,
    IdempotencyKey,
    SessionView,
)
from services.application.ports.store import NOTHING_MORE
from services.application.uninterrupted import uninterrupted
from services.domain.agent_context import AgentContext
from services.domain.errors import RequestIdReusedError, SessionNotFoundError
from services.domain.session import Session
from services.domain.session_change import HeadMove, Lookup, SessionChange
from services.domain.session_events import SessionEvent
from services.domain.tool import ClientTool
from services.infrastructure.persistence.database import Database
from services.infrastructure.persistence.event_log import read_log
from services.infrastructure.persistence.idempotency import LostRaceError, recall, remember
from services.infrastructure.persistence.log_writer import GroupLogWriter
from services.infrastructure.persistence.queues import Queues
from services.infrastructure.persistence.rows import event_from
from services.infrastructure.persistence.session_create import create
from services.infrastructure.persistence.session_fork import fork
from services.infrastructure.persistence.session_load import Head, lock
from services.infrastructure.persistence.session_write import write
from services.infrastructure.persistence.spreading import Publish, Tell, tell_nobody
from services.infrastructure.persistence.tables import session_events


class SqlSessionStore:
    """The `SessionStore` of both databases.

    `publish` gets every committed event, with the session's key; `tell` which other incarnations watch that session.
    An owner may have `sessions_per_owner` sessions, and `running_turns_per_owner` turns that run; None: any number.
    """

    def __init__(
        self,
        database: Database,
        writer: GroupLogWriter,
        publish: Publish,
        clock: Clock,
        *,
        incarnation: Callable[[], str],
        tell: Tell = tell_nobody,
        sessions_per_owner: int | None = None,
        running_turns_per_owner: int | None = None,
    ) -> None:
        self._database = database
        self._writer = writer
        self._publish = publish
        self._clock = clock
        self._incarnation = incarnation
        self._tell = tell
        self._sessions_per_owner = sessions_per_owner
        self._most_running = running_turns_per_owner
        # Who waits for the same session waits here, not with a connection in hand: one session's callers must not take
        # the pool from everybody else.
        self._queues = Queues()

    async def create(
        self,
        session: Session,
        context: AgentContext,
        *,
        client_tools: tuple[ClientTool, ...] = (),
        allow_existing: bool,
        key: IdempotencyKey | None,
    ) -> tuple[SessionView, bool]:
        def unit(connection: Connection) -> tuple[SessionView, bool]:
            return create(
                connection,
                session,
                context,
                client_tools,
                allow_existing=allow_existing,
                key=key,
                most=self._sessions_per_owner,
            )

        while True:
            try:
                return await self._database.write(unit, repeatable=key is not None)
            except LostRaceError:
                continue  # another copy of this request has just committed: the next run finds what it left

    async def fork(
        self,
        owner_id: str,
        source_id: str,
        new_id: str,
        *,
        title: str | None,
        until_message_id: str,
        correlation_id: str,
        key: IdempotencyKey | None,
    ) -> tuple[SessionView, int]:
        def unit(connection: Connection) -> tuple[SessionView, int]:
            return fork(
                connection,
                owner_id,
                source_id,
                new_id,
                title=title,
                until_message_id=until_message_id,
                correlation_id=correlation_id,
                now=self._clock.now(),
                key=key,
                most=self._sessions_per_owner,
            )

        async with self._queues.of((owner_id, source_id)):
            return await self._database.write(unit, repeatable=key is not None)

    async def change(
        self,
        owner_id: str,
        session_id: str,
        decide: Decision,
        *,
        correlation_id: str,
        key: IdempotencyKey | None = None,
        lookup: Lookup = NOTHING_MORE,
    ) -> Committed:
        incarnation = self._incarnation()

        def unit(connection: Connection) -> tuple[Head, Committed, tuple[SessionEvent, ...]]:
            head, loaded = lock(connection, owner_id, session_id, incarnation, lookup)
            outcome = recall(connection, key) if key else None
            if outcome is not None:
                # Perhaps an earlier run of this very unit whose reply was lost: the last event makes readers look.
                newest = read_log(connection, head.session_key, head.last_sequence - 1).events
                return head, Committed(loaded, outcome=outcome, repeated=True), newest
            if loaded is None:
                raise SessionNotFoundError
            change = SessionChange(
                loaded, now=self._clock.now(), correlation_id=correlation_id, most_running=self._most_running
            )
            decide(change)
            events: tuple[SessionEvent, ...] = ()
            if not change.writes_nothing:
                events = write(connection, head, change, incarnation=incarnation, is_step=False)
            if key and not remember(connection, key, head.session_key, change.outcome, change.now):
                raise RequestIdReusedError  # the same id went to another session at the same moment
            return head, _committed(head, change, events), events

        async def commit_and_publish() -> Committed:
            head, committed, events = await self._database.write(unit, repeatable=key is not None)
            self._spread(head, events)
            return committed

        async with self._queues.of((owner_id, session_id)):
            return await uninterrupted(commit_and_publish())

    async def step(
        self, claim: Claim, decide: Decision, *, correlation_id: str, lookup: Lookup = NOTHING_MORE
    ) -> Committed:
        return await uninterrupted(self._step(claim, decide, correlation_id, lookup))

    async def _step(self, claim: Claim, decide: Decision, correlation_id: str, lookup: Lookup) -> Committed:
        async with self._writer.hold(claim) as held:

            def unit(connection: Connection) -> tuple[Head, Committed]:
                head, loaded = lock(connection, claim.owner_id, claim.session_id, self._incarnation(), lookup)
                if loaded is None or (head.session_key, head.epoch) != (claim.session_key, claim.epoch):
                    raise FencedError
                if head.flushed != held.flushed:
                    # An earlier run of this very step was committed and its reply lost: read back what it wrote.
                    return head, Committed(loaded, _written_before(connection, claim, held.flushed))
                change = SessionChange(
                    loaded,
                    now=self._clock.now(),
                    correlation_id=correlation_id,
                    is_step=True,
                    waiting=held.waiting,
                    most_running=self._most_running,
                )
                decide(change)
                events = write(connection, head, change, incarnation="", is_step=True)
                return head, _committed(head, change, events)

            try:
                head, committed = await self._database.write(unit, repeatable=True)
            except SessionNotFoundError:
                raise FencedError from None
            held.committed(len(committed.events))
            self._spread(head, committed.events)
        return committed

    def _spread(self, head: Head, events: Sequence[SessionEvent]) -> None:
        """Lets everybody who watches know what was committed, here and elsewhere."""
        self._publish(head.session_key, events)
        if events:
            self._tell(head.watchers, Growth(head.session_key, events[-1].sequence))

    async def recall(self, key: IdempotencyKey) -> str | None:
        return await self._database.read(lambda connection: recall(connection, key))


def _committed(head: Head, change: SessionChange, events: tuple[SessionEvent, ...]) -> Committed:
    claim = None
    if change.head_move is HeadMove.CLAIM:
        claim = Claim(head.session_key, change.session.id, change.session.owner_id, head.epoch + 1)
    session = replace(
        change.loaded,
        session=change.session,
        context=change.context,
        turn=change.turn,
        client_tools=change.loaded.client_tools if change.client_tools is None else change.client_tools,
        last_sequence=change.last_sequence,
    )
    return Committed(session, events, claim, change.outcome)


def _written_before(connection: Connection, claim: Claim, flushed: int) -> tuple[SessionEvent, ...]:
    """What this claim has written behind that many of its events."""
    statement = (
        select(session_events)
        .where(
            session_events.c.session_key == claim.session_key,
            session_events.c.writer_epoch == claim.epoch,
            session_events.c.writer_position > flushed,
        )
        .order_by(session_events.c.sequence)
    )
    return tuple(event_from(row, claim.session_id) for row in connection.execute(statement))
