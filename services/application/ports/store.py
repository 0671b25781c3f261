"""The writing side of storage: one transaction per change, under the session's lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from services.application.ports.claims import Claim
from services.application.ports.views import SessionView
from services.domain.agent_context import AgentContext
from services.domain.errors import SessionNotFoundError
from services.domain.session import Session
from services.domain.session_change import Lookup, SessionAggregate, SessionChange
from services.domain.session_events import SessionEvent
from services.domain.tool import ClientTool

NOTHING_MORE = Lookup()

Decision = Callable[[SessionChange], None]
"""A command or step: looks at the session, refuses by raising a domain error, or stages what is to be written."""


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What a mutating request is remembered by (G5).

    `fingerprint` is a SHA-256 of the command without its request id, so a changed body under the same id is seen.
    """

    owner_id: str
    rpc: str
    request_id: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class Committed:
    """What a committed change left behind.

    `repeated` is set when the request had its effect earlier: then nothing was written now and `outcome` is what was
    remembered. `session` is the session as it is after the change, None when it is deleted. `claim` is set when the
    change made this process the owner.
    """

    session: SessionAggregate | None
    events: tuple[SessionEvent, ...] = ()
    claim: Claim | None = None
    outcome: str = ""
    repeated: bool = False

    def present(self) -> SessionAggregate:
        """The session. Raises SessionNotFoundError when a repeat finds it deleted meanwhile."""
        if self.session is None:
            raise SessionNotFoundError
        return self.session

    @property
    def view(self) -> SessionView:
        """The session as reads show it. Raises SessionNotFoundError."""
        aggregate = self.present()
        turn = aggregate.turn
        active = turn.id if turn is not None and turn.state.is_active else None
        return SessionView(
            aggregate.session, aggregate.context, aggregate.last_sequence, active, aggregate.client_tools
        )


class SessionStore(Protocol):
    """Changes of sessions: each call is one transaction under the session's lock, all of it or nothing.

    Calls for one session queue up behind each other, on every replica; calls for different sessions do not wait for
    each other on PostgreSQL and are serialised on SQLite. A cancelled caller waits until its transaction has ended.
    Committed events are published to the local event feed before a call returns. Every method raises
    DatabaseUnavailableError when the database is away and StorageFullError when it is full.
    """

    async def create(
        self,
        session: Session,
        context: AgentContext,
        *,
        client_tools: tuple[ClientTool, ...] = (),
        allow_existing: bool,
        key: IdempotencyKey | None,
    ) -> tuple[SessionView, bool]:
        """Stores a new session; returns it and whether it is new.

        Raises SessionAlreadyExistsError (also for the id of a deleted session) unless the existing one may be
        returned, and RequestIdReusedError for a changed body.
        """

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
        """Copies a session up to a message (empty: all) under a new id; returns it and how many messages it began with.

        Raises SessionNotFoundError, TurnInProgressError, SessionAlreadyExistsError, RequestIdReusedError, and
        InvalidArgumentError when the message is not there or lies between a call and its result.
        """

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
        """A command: runs `decide` under the lock and commits what it staged; callable from any process.

        A repeat of `key` writes nothing and returns the remembered outcome; nor does a decision that stages nothing.
        Raises SessionNotFoundError, RequestIdReusedError, or whatever `decide` raises; then nothing was written.
        """

    async def step(
        self, claim: Claim, decide: Decision, *, correlation_id: str, lookup: Lookup = NOTHING_MORE
    ) -> Committed:
        """A step of the owner: commits the session's waiting deltas and what `decide` staged, in that order.

        Raises FencedError when the claim is void; then nothing was written and nothing ever will be under it.
        """

    async def recall(self, key: IdempotencyKey) -> str | None:
        """The outcome remembered for a request, or None. Raises RequestIdReusedError for a changed body."""
