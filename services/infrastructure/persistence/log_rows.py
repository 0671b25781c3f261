"""Writing events as rows: the one place that knows the columns of the log and of the outbox."""

from __future__ import annotations

from collections.abc import Sequence

from services.domain.domain_events import DomainEvent, fact_of
from services.domain.ids import new_id
from services.domain.session_events import NewEvent, SessionEvent
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.rows import Values, numbered
from services.infrastructure.persistence.statement_batch import StatementBatch
from services.infrastructure.persistence.tables import outbox, session_events


def add_events(
    batch: StatementBatch,
    *,
    session_key: int,
    session_id: str,
    base: int,
    events: Sequence[NewEvent],
    writer: tuple[int, int] | None,
) -> tuple[SessionEvent, ...]:
    """Adds events to the batch under the numbers from `base + 1` on, and the outbox rows of those that are domain
    events.

    `writer` is (epoch, position of the first event) for a step of the owner and None for a command.
    """
    rows: list[Values] = []
    facts: list[Values] = []
    committed: list[SessionEvent] = []
    for offset, event in enumerate(events):
        payload = codec.encode(event.payload)
        sequence = base + offset + 1
        rows.append(
            {
                "session_key": session_key,
                "sequence": sequence,
                "turn_id": event.turn_id,
                "event_time": codec.to_microseconds(event.event_time),
                "correlation_id": event.correlation_id,
                "kind": codec.kind_of(event.payload),
                "payload": payload,
                "writer_epoch": writer[0] if writer else None,
                "writer_position": writer[1] + offset if writer else None,
            }
        )
        committed.append(numbered(event, session_id, sequence, len(payload)))
        fact = fact_of(event)
        if fact is not None:
            facts.append(fact_values(session_key, DomainEvent(new_id("event"), event.event_time, session_id, fact)))
    batch.insert(session_events, rows)
    batch.insert(outbox, facts)
    return tuple(committed)


def fact_values(session_key: int, event: DomainEvent) -> Values:
    """The outbox row of a domain event."""
    kind, fact = codec.encode_fact(event.fact)
    return {
        "event_id": event.event_id,
        "occurred_at": event.occurred_at,
        "session_key": session_key,
        "aggregate_id": event.aggregate_id,
        "kind": kind,
        "version": event.version,
        "fact": fact,
    }
