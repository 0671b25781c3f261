"""A session: its identity, its state and what a new message does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.domain.errors import SessionInactiveError, SessionMessageLimitError
from services.domain.message import Message, Role
from services.domain.policies.titles import title_from

DEFAULT_MESSAGE_LIMIT = 1000
DEFAULT_HISTORY_BYTES = 64 * 1024 * 1024


class SessionState(StrEnum):
    """Whether messages may enter."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation of one owner.

    `id` is the owner's name for it, `key` the surrogate every table refers to (0 until stored). `last_ordinal` counts
    every message ever added and never goes back; `message_count` is what the history holds now, and `history_bytes` the
    sizes of these messages together. `version` moves with
    every change of the fields a client can set.
    """

    key: int
    id: str
    owner_id: str
    title: str
    description: str
    state: SessionState
    create_time: datetime
    update_time: datetime
    last_activity_time: datetime
    labels: Mapping[str, str] = field(default_factory=dict)
    deactivation_reason: str = ""
    message_limit: int = DEFAULT_MESSAGE_LIMIT
    message_count: int = 0
    history_bytes: int = 0
    last_ordinal: int = 0
    version: int = 1

    @property
    def duration(self) -> timedelta:
        """From creation to the last message."""
        return self.last_activity_time - self.create_time

    def check_active(self) -> None:
        """Raises SessionInactiveError."""
        if self.state is not SessionState.ACTIVE:
            raise SessionInactiveError("the session is inactive; activate it first")

    def check_can_take_message(self, history_bytes: int = DEFAULT_HISTORY_BYTES) -> None:
        """Raises SessionInactiveError or SessionMessageLimitError unless one more input may enter.

        The turn it starts may go beyond both limits: it is not stopped half-way.
        """
        self.check_active()
        if self.message_count >= self.message_limit:
            raise SessionMessageLimitError(
                f"the session holds its {self.message_limit} messages; fork it, clear it or raise its message_limit",
                metadata={"limit": str(self.message_limit)},
            )
        if self.history_bytes >= history_bytes:
            raise SessionMessageLimitError(
                f"the session's messages hold {history_bytes} bytes; clear it, or fork it from an earlier message",
                metadata={"limit_bytes": str(history_bytes)},
            )

    def with_message(self, message: Message, now: datetime) -> Session:
        """This session after the message entered; the first user message names a session that has no title."""
        title = self.title
        if not title and message.role is Role.USER:
            title = title_from(message.content)
        return replace(
            self,
            title=title,
            message_count=self.message_count + 1,
            history_bytes=self.history_bytes + message.size,
            last_ordinal=self.last_ordinal + 1,
            last_activity_time=now,
        )
