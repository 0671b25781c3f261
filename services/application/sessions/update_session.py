"""UpdateSession: changes what the caller may change of a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from services.application.idempotency import key_for
from services.application.ports import Principal, SessionStore, SessionView
from services.application.sessions.client_tool_checks import ClientToolChecks
from services.domain.errors import ConcurrentUpdateError
from services.domain.session_change import Lookup, SessionChange
from services.domain.session_events import SessionUpdated
from services.domain.tool import ClientTool


class UpdateSession:
    """A field that is None stays as it is."""

    def __init__(self, store: SessionStore, client_tools: ClientToolChecks) -> None:
        self._store = store
        self._client_tools = client_tools

    async def execute(
        self,
        principal: Principal,
        *,
        session_id: str,
        title: str | None,
        description: str | None,
        labels: Mapping[str, str] | None,
        message_limit: int | None,
        client_tools: tuple[ClientTool, ...] | None,
        expected_version: int | None,
        request_id: str,
        correlation_id: str,
    ) -> SessionView:
        """The session after the change; client tools count from the next model call on.

        Raises SessionNotFoundError, ConcurrentUpdateError, RequestIdReusedError, and InvalidArgumentError for a tool
        that cannot be offered.
        """
        self._client_tools.check(client_tools or (), field="client_tools.tools")
        key = key_for(
            principal,
            "UpdateSession",
            request_id,
            session_id=session_id,
            title=title,
            description=description,
            labels=None if labels is None else dict(labels),
            message_limit=message_limit,
            client_tools=None if client_tools is None else [asdict(tool) for tool in client_tools],
            expected_version=expected_version,
        )

        def decide(change: SessionChange) -> None:
            session = change.session
            if expected_version is not None and expected_version != session.version:
                raise ConcurrentUpdateError(
                    "the session was changed meanwhile", metadata={"version": str(session.version)}
                )
            changed = replace(
                session,
                title=session.title if title is None else title,
                description=session.description if description is None else description,
                labels=session.labels if labels is None else dict(labels),
                message_limit=session.message_limit if message_limit is None else message_limit,
            )
            if client_tools is not None and client_tools != change.loaded.client_tools:
                change.client_tools = client_tools
            if changed == session and change.client_tools is None:
                return
            change.session = replace(changed, version=session.version + 1, update_time=change.now)
            change.append(
                SessionUpdated(
                    title=changed.title,
                    description=changed.description,
                    labels=changed.labels,
                    message_limit=changed.message_limit,
                    version=change.session.version,
                )
            )

        committed = await self._store.change(
            principal.owner_id,
            session_id,
            decide,
            correlation_id=correlation_id,
            key=key,
            lookup=Lookup(client_tools=True),
        )
        return committed.view
