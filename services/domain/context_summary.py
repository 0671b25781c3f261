"""A summary that stands for the older part of a history where the model reads it; the history itself is unchanged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ContextSummary:
    """The messages up to the ordinal `through` are replaced by `text`, but for those with an ordinal in `kept`.

    A later summary of a session replaces all that an earlier one did, and more. `first_ordinal` and
    `first_message_id` are of the first message replaced, `last_message_id` is of the last.
    """

    text: str
    through: int
    kept: tuple[int, ...]
    first_ordinal: int
    first_message_id: str
    last_message_id: str
    create_time: datetime

    def replaces(self, ordinal: int) -> bool:
        """Whether the model sees the message of that ordinal only through this summary."""
        return ordinal <= self.through and ordinal not in self.kept
