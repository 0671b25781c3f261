"""ForkSession: a new session that begins as a copy of another's history."""

from __future__ import annotations

from services.application.idempotency import key_for
from services.application.ports import Principal, SessionStore, SessionView
from services.domain.ids import new_id


class ForkSession:
    """The source does not change; the copy's log starts at 1."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        new_session_id: str,
        until_message_id: str,
        title: str | None,
        request_id: str,
        correlation_id: str,
    ) -> tuple[SessionView, int]:
        """The new session, and how many messages it began with.

        Raises SessionNotFoundError, TurnInProgressError, SessionAlreadyExistsError, RequestIdReusedError, and
        InvalidArgumentError for a message that is no boundary.
        """
        key = key_for(
            principal,
            "ForkSession",
            request_id,
            session_id=session_id,
            new_session_id=new_session_id,
            until_message_id=until_message_id,
            title=title,
        )
        return await self._store.fork(
            principal.owner_id,
            session_id,
            new_session_id or new_id("session"),
            title=title,
            until_message_id=until_message_id,
            correlation_id=correlation_id,
            key=key,
        )
