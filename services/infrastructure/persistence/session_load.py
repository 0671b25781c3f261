"""Loading a session for a change: its head is locked and everything else is read in one statement.

After waiting for a lock PostgreSQL re-reads only the locked row; everything else would be what it was before the wait.
So the statement also says what the head was then, and runs again when that is another: now nobody else can change it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    Table,
    and_,
    bindparam,
    case,
    false,
    func,
    null,
    select,
)

from services.application.ports.store import NOTHING_MORE
from services.domain.approval import Approval, ApprovalState
from services.domain.errors import SessionNotFoundError
from services.domain.input import Input, InputState
from services.domain.session_change import Lookup, SessionAggregate
from services.domain.session_events import TextDelta
from services.domain.session_usage import SessionUsage
from services.domain.tool import ClientTool
from services.domain.tool_call import ToolCall
from services.domain.turn import Turn, TurnState
from services.infrastructure.persistence import codec
from services.infrastructure.persistence.applying_rules import has_rules, rules_of
from services.infrastructure.persistence.database_clock import database_seconds
from services.infrastructure.persistence.json_texts import texts_of
from services.infrastructure.persistence.query import Query, is_one_of, with_commas
from services.infrastructure.persistence.rows import (
    CALLS_PER_MESSAGE,
    client_tools_from,
    context_with_work,
    session_from,
)
from services.infrastructure.persistence.tables import (
    agent_contexts,
    approvals,
    client_tools,
    inputs,
    replicas,
    session_events,
    session_heads,
    sessions,
    tool_calls,
    turns,
)
from services.infrastructure.persistence.watches import watchers_of

T = TypeVar("T")

IS_ACTIVE = is_one_of(turns.c.state, TurnState.RUNNING, TurnState.PAUSED)
_IS_WAITING = is_one_of(turns.c.state, TurnState.PAUSED)
_IS_PENDING = is_one_of(inputs.c.state, InputState.PENDING)
_IS_UNDECIDED = is_one_of(approvals.c.state, ApprovalState.PENDING)


@dataclass(frozen=True, slots=True)
class Head:
    """The locked head row: the sequencer and the fence. `locked_at` is the database's clock, `watchers` are the
    other incarnations that watch the session.
    """

    session_key: int
    epoch: int
    owner: str | None
    flushed: int
    last_sequence: int
    cleared_through: int
    control: int
    locked_at: datetime
    watchers: tuple[str, ...] = ()


def lock(
    connection: Connection, owner_id: str, session_id: str, incarnation: str, lookup: Lookup = NOTHING_MORE
) -> tuple[Head, SessionAggregate | None]:
    """Locks the session's head row until the transaction ends; the session with what the lookup asks for.

    None instead of a session that was deleted. Raises SessionNotFoundError for one that never was.
    """
    query = _session(
        bool(lookup.call_ids),
        bool(lookup.approval_ids),
        lookup.client_tools,
        lookup.last_turn,
        lookup.rules,
        lookup.running_turns,
    )
    parameters = {
        "owner": owner_id,
        "session": session_id,
        "incarnation": incarnation,
        "call_ids": codec.encode(lookup.call_ids),
        "approval_ids": codec.encode(lookup.approval_ids),
    }
    row = query.first(connection, **parameters)
    if row is not None and row.head_version != row.seen_version:
        row = query.first(connection, **parameters)
    if row is None:
        raise SessionNotFoundError
    head = Head(
        session_key=row.session_key,
        epoch=row.epoch,
        owner=row.owner,
        flushed=row.flushed,
        last_sequence=row.last_sequence,
        cleared_through=row.cleared_through,
        control=row.control,
        locked_at=datetime.fromtimestamp(row.now, UTC),
        watchers=tuple(row.watchers.split(",")) if row.watchers else (),
    )
    return head, _aggregate(connection, head, row, lookup) if row.delete_time is None else None


def _aggregate(connection: Connection, head: Head, row: Any, lookup: Lookup) -> SessionAggregate:
    turn = codec.decode(row.turn_body, Turn) if row.turn_body is not None else None  # an active turn has no result yet
    calls = _all(row.newest_calls, ToolCall)
    return SessionAggregate(
        session=session_from(row),
        context=context_with_work(row),
        last_sequence=head.last_sequence,
        deadline_now=head.locked_at,
        turn=turn,
        orphaned=head.owner is not None and row.living_owner is None,
        batch=tuple(
            sorted(
                (call for call in calls if turn is not None and call.message_ordinal == turn.batch_ordinal),
                key=lambda call: call.position,
            )
        ),
        approvals=tuple(sorted(_all(row.pending_approvals, Approval), key=lambda approval: approval.create_time)),
        draft_text=draft_text(connection, head.session_key, turn)[0] if lookup.draft_text and turn is not None else "",
        known_calls={call.id: call for call in _all(row.known_calls, ToolCall)},
        known_approvals={approval.id: approval for approval in _all(row.known_approvals, Approval)},
        client_tools=client_tools_from(row.client_tools) if row.client_tools is not None else (),
        rules=rules_of(connection, row.owner_id, head.session_key) if row.has_rules else (),
        last_turn=codec.decode(row.last_turn, Turn) if row.last_turn is not None else None,
        running_turns=row.running_turns,
        usage=codec.decode(row.usage, SessionUsage),
        pending_inputs=_in_order(_all(row.pending_inputs, Input)),
    )


@cache
def _session(
    call_ids: bool, approval_ids: bool, client_tools_too: bool, last_turn: bool, rules: bool, running_turns: bool
) -> Query:
    """All of a session, its head locked; these say what is looked up beside what every change sees."""
    earlier, newest_turn = tool_calls.alias(), turns.alias()
    newest_number = select(func.max(earlier.c.number)).where(_is_its(earlier)).correlate(session_heads)
    newest_calls = tool_calls.c.number > newest_number.scalar_subquery() - CALLS_PER_MESSAGE
    known_calls = _bodies(tool_calls, tool_calls.c.tool_call_id.op("IN")(texts_of("call_ids")))
    known_approvals = _bodies(approvals, approvals.c.approval_id.op("IN")(texts_of("approval_ids")))
    its_tools = _only(select(client_tools.c.body).where(_is_its(client_tools)))
    its_last_turn = _only(select(newest_turn.c.body).where(_is_its(newest_turn)).order_by(newest_turn.c.number.desc()))
    owners_turns = turns.alias()
    running = select(func.count()).where(
        owners_turns.c.owner_id == bindparam("owner"), is_one_of(owners_turns.c.state, TurnState.RUNNING)
    )
    count = running.scalar_subquery()
    a_message_waits = select(inputs.c.input_id).where(_is_its(inputs), _IS_PENDING).correlate(session_heads).exists()
    seen = session_heads.alias()
    alive = and_(replicas.c.incarnation == session_heads.c.owner, replicas.c.expires_at > database_seconds())
    return Query(
        select(
            session_heads,
            _version(session_heads).label("head_version"),
            _only(select(_version(seen)).where(_is_its(seen))).label("seen_version"),
            database_seconds().label("now"),
            watchers_of().label("watchers"),
            *(column for column in sessions.c if column.name != "session_key"),
            agent_contexts.c.current_agent,
            agent_contexts.c.switch_count,
            agent_contexts.c.last_switch,
            agent_contexts.c.work,
            turns.c.body.label("turn_body"),
            replicas.c.incarnation.label("living_owner"),
            _bodies(inputs, _IS_PENDING).label("pending_inputs"),
            _bodies(tool_calls, _IS_WAITING, newest_calls).label("newest_calls"),
            _bodies(approvals, _IS_WAITING, _IS_UNDECIDED).label("pending_approvals"),
            (known_calls if call_ids else null()).label("known_calls"),
            (known_approvals if approval_ids else null()).label("known_approvals"),
            (its_tools if client_tools_too else null()).label("client_tools"),
            (its_last_turn if last_turn else null()).label("last_turn"),
            (has_rules() if rules else false()).label("has_rules"),
            (count if running_turns else case((a_message_waits, count), else_=0)).label("running_turns"),
        )
        .select_from(session_heads)
        .join(sessions, sessions.c.session_key == session_heads.c.session_key)
        .outerjoin(agent_contexts, _is_its(agent_contexts))
        .outerjoin(turns, and_(_is_its(turns), IS_ACTIVE))
        .outerjoin(replicas, alive)
        .where(sessions.c.owner_id == bindparam("owner"), sessions.c.session_id == bindparam("session"))
        .with_for_update(of=session_heads)
    )


def _version(head: FromClause) -> ColumnElement[int]:
    """Grows with everything that is written of a session: commands count one number on, steps and flushes the other."""
    return head.c.last_sequence + head.c.control


def _is_its(table: FromClause) -> ColumnElement[bool]:
    return table.c.session_key == session_heads.c.session_key


def _only(statement: Select[Any]) -> ScalarSelect[Any]:
    return statement.limit(1).correlate(session_heads).scalar_subquery()


def _bodies(table: Table, *conditions: ColumnElement[bool]) -> ScalarSelect[str]:
    """The entities of the session that are stored whole, as one text for `_all`; they come in any order."""
    mine = select(with_commas(table.c.body)).where(_is_its(table), *conditions)
    return mine.correlate(session_heads, turns).scalar_subquery()


def _all(bodies: str | None, kind: type[T]) -> list[T]:
    return codec.decode(f"[{bodies}]", list[kind]) if bodies else []  # type: ignore[valid-type]


def _in_order(waiting: Iterable[Input]) -> tuple[Input, ...]:
    return tuple(sorted(waiting, key=lambda each: each.accepted_sequence))


_DELTAS = Query(
    select(session_events.c.kind, session_events.c.payload)
    .where(
        session_events.c.session_key == bindparam("key"),
        session_events.c.turn_id == bindparam("turn"),
        is_one_of(session_events.c.kind, "text_delta", "reasoning_delta"),
    )
    .order_by(session_events.c.sequence)
)


def draft_text(connection: Connection, session_key: int, turn: Turn) -> tuple[str, str]:
    """The text and the reasoning that the running attempt of a turn has in the log so far."""
    if turn.attempt is None:
        return "", ""
    pieces: dict[str, list[str]] = {"text_delta": [], "reasoning_delta": []}
    for row in _DELTAS.all(connection, key=session_key, turn=turn.id):
        delta = codec.decode(row.payload, TextDelta)  # both kinds have the same fields
        if delta.message_id == turn.attempt.message_id:
            pieces[row.kind].append(delta.text)
    return "".join(pieces["text_delta"]), "".join(pieces["reasoning_delta"])


_PENDING_APPROVALS = Query(
    select(approvals.c.body)
    .where(approvals.c.session_key == bindparam("key"), _IS_UNDECIDED)
    .order_by(approvals.c.create_time)
)
_PENDING_INPUTS = Query(
    select(inputs.c.body)
    .where(inputs.c.session_key == bindparam("key"), _IS_PENDING)
    .order_by(inputs.c.accepted_sequence)
)
_CLIENT_TOOLS = Query(select(client_tools.c.body).where(client_tools.c.session_key == bindparam("key")))


def read_pending_approvals(connection: Connection, session_key: int) -> tuple[Approval, ...]:
    """The approvals of a session that wait for a decision, in the order they were asked for."""
    rows = _PENDING_APPROVALS.all(connection, key=session_key)
    return tuple(codec.decode(row.body, Approval) for row in rows)


def read_pending_inputs(connection: Connection, session_key: int) -> tuple[Input, ...]:
    """The messages of a session that wait, in the order they came."""
    return tuple(codec.decode(row.body, Input) for row in _PENDING_INPUTS.all(connection, key=session_key))


def read_client_tools(connection: Connection, session_key: int) -> tuple[ClientTool, ...]:
    """The tools the client of a session declared."""
    row = _CLIENT_TOOLS.first(connection, key=session_key)
    return client_tools_from(row.body) if row is not None else ()
