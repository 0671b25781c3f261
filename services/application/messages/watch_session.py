"""WatchSession: a session's log as it grows, from any number, with a snapshot first when asked."""

from __future__ import annotations

from services.application.event_feed import EventFeed, KnownHead
from services.application.event_stream import EventStream, StreamSettings
from services.application.ports import Clock, Principal, ReadModel
from services.domain.errors import SequenceAheadError


class WatchSession:
    """Any number of watchers see the same events with the same numbers."""

    def __init__(self, reads: ReadModel, feed: EventFeed, clock: Clock, settings: StreamSettings) -> None:
        self._reads = reads
        self._feed = feed
        self._clock = clock
        self._settings = settings

    async def execute(
        self, principal: Principal, *, session_id: str, after_sequence: int | None, snapshot: bool, stop_at_head: bool
    ) -> EventStream:
        """The stream after `after_sequence`; without it, from the snapshot's number or from now.

        `stop_at_head` ends it at what is the last number now. Raises SessionNotFoundError, SequenceAheadError.
        """
        owner_id = principal.owner_id
        moment = self._feed.moment()
        location = await self._reads.locate(owner_id, session_id)
        opening = await self._reads.snapshot(owner_id, session_id) if snapshot else None
        head = opening.as_of_sequence if opening else location.last_sequence
        after = head if after_sequence is None else after_sequence
        if after > head:
            raise SequenceAheadError(
                "after_sequence is beyond the end of the log", metadata={"last_sequence": str(head)}
            )
        return EventStream(
            self._feed,
            location.session_key,
            after,
            clock=self._clock,
            settings=self._settings,
            ends_with=lambda _: False,
            through=head if stop_at_head else None,
            opening=opening,
            head=KnownHead(head, moment),
            snapshot=lambda: self._reads.snapshot(owner_id, session_id),
        )
