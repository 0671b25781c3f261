"""One flush: the waiting events of many sessions, committed together, each session on its own terms.

A session's events are written only where its head is free, its epoch is the writer's and `flushed` is what the writer
believes. So a batch may be sent again after a lost reply, a fenced writer writes nothing, and no session waits for
another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from services.application.ports import Claim
from services.domain.session_events import NewEvent
from services.infrastructure.persistence import codec, driver
from services.infrastructure.persistence.tables import session_events


@dataclass(frozen=True, slots=True)
class Written:
    """The events are durable under the numbers from `base + 1` on; `control` counts the session's commands, `watchers`
    are the other incarnations that watch it.
    """

    base: int
    control: int | None
    watchers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Locked:
    """Somebody holds the head; nothing was written, the next flush tries again."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """The epoch is another one: this writer will never write here again."""


Outcome = Written | Locked | Fenced


@dataclass(frozen=True, slots=True)
class Batch:
    """What one session adds: its events, encoded once, and how many of this epoch the writer believes are written."""

    claim: Claim
    flushed: int
    events: tuple[NewEvent, ...]
    payloads: tuple[str, ...]

    @classmethod
    def of(cls, claim: Claim, flushed: int, events: Sequence[NewEvent]) -> Batch:
        return cls(claim, flushed, tuple(events), tuple(codec.encode(event.payload) for event in events))


def flush(connection: Connection, batches: Sequence[Batch], incarnation: str) -> list[Outcome]:
    """Writes what may be written for this incarnation; returns what became of each batch, in order.

    At most one batch per session.
    """
    if connection.dialect.name == "postgresql":
        return _flush_postgresql(connection, batches, incarnation)
    return _flush_sqlite(connection, batches)


_POSTGRESQL = """
WITH want AS (
  SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::int[]) AS w(session_key, epoch, flushed, n)),
locked AS (
  SELECT h.session_key, h.epoch, h.flushed FROM session_heads h JOIN want USING (session_key)
  ORDER BY h.session_key FOR UPDATE OF h SKIP LOCKED),
moved AS (
  UPDATE session_heads h SET last_sequence = h.last_sequence + w.n, flushed = w.flushed + w.n
  FROM want w JOIN locked l USING (session_key)
  WHERE h.session_key = w.session_key AND l.epoch = w.epoch AND l.flushed = w.flushed
  RETURNING h.session_key, h.last_sequence - w.n AS base, h.control, w.epoch, w.flushed),
added AS (
  INSERT INTO session_events (session_key, sequence, turn_id, event_time, correlation_id, kind, payload,
                              writer_epoch, writer_position)
  SELECT m.session_key, m.base + e.k, e.turn_id, e.event_time, e.correlation_id, e.kind, e.payload,
         m.epoch, m.flushed + e.k
  FROM unnest($5::bigint[], $6::int[], $7::text[], $8::bigint[], $9::text[], $10::text[], $11::text[])
    AS e(session_key, k, turn_id, event_time, correlation_id, kind, payload)
  JOIN moved m USING (session_key) RETURNING 1)
SELECT w.session_key, m.base, m.control, l.session_key IS NOT NULL AS was_locked, l.epoch, l.flushed,
       EXISTS (SELECT 1 FROM session_heads h WHERE h.session_key = w.session_key) AS is_there,
       (SELECT string_agg(o.incarnation, ',') FROM session_watches o
        WHERE o.session_key = w.session_key AND o.incarnation <> $12::text) AS watchers
FROM want w LEFT JOIN moved m USING (session_key) LEFT JOIN locked l USING (session_key),
     (SELECT count(*) FROM added) AS done
"""


def _flush_postgresql(connection: Connection, batches: Sequence[Batch], incarnation: str) -> list[Outcome]:
    heads: tuple[list[Any], ...] = ([], [], [], [])
    columns: tuple[list[Any], ...] = ([], [], [], [], [], [], [])
    for batch in batches:
        key = batch.claim.session_key
        _add_row(heads, (key, batch.claim.epoch, batch.flushed, len(batch.events)))
        for k, (event, payload) in enumerate(zip(batch.events, batch.payloads, strict=True), 1):
            _add_row(columns, (key, k, *_values(event, payload)))
    found = driver.fetch(connection, _POSTGRESQL, (*heads, *columns, incarnation))
    rows = {row["session_key"]: row for row in found}
    outcomes: list[Outcome] = []
    for batch in batches:
        row = rows[batch.claim.session_key]
        if row["base"] is not None:
            watchers = tuple(row["watchers"].split(",")) if row["watchers"] else ()
            outcomes.append(Written(row["base"], row["control"], watchers))
        elif row["is_there"] and not row["was_locked"]:
            outcomes.append(Locked())
        elif row["epoch"] == batch.claim.epoch:
            outcomes.append(_written_earlier(connection, batch, row["flushed"]))
        else:
            outcomes.append(Fenced())
    return outcomes


_HEADS_SQLITE = """
SELECT session_key, epoch, flushed, last_sequence, control FROM session_heads
WHERE session_key IN (SELECT value FROM json_each(?))
"""
_NO_HEAD = (None, None, 0, None)
_MOVE_SQLITE = """
UPDATE session_heads SET last_sequence = last_sequence + ?, flushed = flushed + ? WHERE session_key = ?
"""
_ADD_SQLITE = """
INSERT INTO session_events (session_key, sequence, turn_id, event_time, correlation_id, kind, payload,
                            writer_epoch, writer_position)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


def _flush_sqlite(connection: Connection, batches: Sequence[Batch]) -> list[Outcome]:
    """The same under the writer lock of the file: nobody else holds a head, so nothing is ever skipped."""
    outcomes: list[Outcome] = []
    moves: list[tuple[Any, ...]] = []
    rows: list[tuple[Any, ...]] = []
    # One statement, however many sessions: one for each would cost more than writing its events.
    keys = codec.encode([batch.claim.session_key for batch in batches])
    heads = {key: head for key, *head in driver.fetch(connection, _HEADS_SQLITE, (keys,))}
    for batch in batches:
        claim = batch.claim
        epoch, flushed, base, control = heads.get(claim.session_key, _NO_HEAD)
        if epoch != claim.epoch:
            outcomes.append(Fenced())
        elif flushed != batch.flushed:
            outcomes.append(_written_earlier(connection, batch, flushed))
        else:
            moves.append((len(batch.events), len(batch.events), claim.session_key))
            rows.extend(
                (claim.session_key, base + k, *_values(event, payload), claim.epoch, batch.flushed + k)
                for k, (event, payload) in enumerate(zip(batch.events, batch.payloads, strict=True), 1)
            )
            outcomes.append(Written(base, control))
    if rows:
        driver.write_many(connection, _MOVE_SQLITE, moves)
        driver.write_many(connection, _ADD_SQLITE, rows)
    return outcomes


def _add_row(columns: Sequence[list[Any]], row: Sequence[object]) -> None:
    for column, value in zip(columns, row, strict=True):
        column.append(value)


def _values(event: NewEvent, payload: str) -> tuple[object, ...]:
    time = codec.to_microseconds(event.event_time)
    return (event.turn_id, time, event.correlation_id, codec.kind_of(event.payload), payload)


def _written_earlier(connection: Connection, batch: Batch, flushed: int) -> Outcome:
    """These events were committed before and the reply was lost: finds the numbers they got.

    They may have gone with a step, whose own events came behind them.
    """
    if flushed < batch.flushed + len(batch.events):
        raise AssertionError("only this writer moves `flushed` within its epoch")
    statement = select(func.min(session_events.c.sequence)).where(
        session_events.c.session_key == batch.claim.session_key,
        session_events.c.writer_epoch == batch.claim.epoch,
        session_events.c.writer_position > batch.flushed,
    )
    return Written(connection.execute(statement).scalar_one() - 1, None)
