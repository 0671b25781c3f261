"""The schema, once for both databases; migrations/ brings a database to it.

Every table of a session hangs on `session_key`, the surrogate of (owner_id, session_id), so nothing can be reached
without the owner.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from services.infrastructure.persistence.types import UTCDateTime

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# SQLite numbers rows by itself only where the key is an INTEGER.
RowId = BigInteger().with_variant(Integer, "sqlite")


def _session_key(*, nullable: bool = False) -> Column[int]:
    return Column("session_key", RowId, ForeignKey("sessions.session_key", ondelete="CASCADE"), nullable=nullable)


def _only_session_key() -> Column[int]:
    """The key of a table with one row per session."""
    reference = ForeignKey("sessions.session_key", ondelete="CASCADE")
    return Column("session_key", RowId, reference, primary_key=True, autoincrement=False)


def _partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    return Index(name, *columns, unique=unique, postgresql_where=text(where), sqlite_where=text(where))


sessions = Table(
    "sessions",
    metadata,
    Column("session_key", RowId, Identity(), primary_key=True),
    Column("owner_id", String(128), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("labels", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("deactivation_reason", Text, nullable=False),
    Column("message_count", Integer, nullable=False),
    Column("history_bytes", BigInteger, nullable=False),
    Column("message_limit", Integer, nullable=False),
    Column("last_ordinal", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("create_time", UTCDateTime, nullable=False),
    Column("update_time", UTCDateTime, nullable=False),
    Column("last_activity_time", UTCDateTime, nullable=False),
    Column("usage", Text, nullable=False),  # what all turns that have ended have cost
    # A deleted session keeps its id for a while, without content.
    Column("delete_time", UTCDateTime),
    UniqueConstraint("owner_id", "session_id"),
    Index("ix_sessions_owner_id_last_activity_time", "owner_id", "last_activity_time", "session_id"),
    _partial_index("ix_sessions_deleted", "delete_time", where="delete_time IS NOT NULL"),
)

# The sequencer and the fence of a session's log. Written with every flush, so it is kept apart and narrow.
session_heads = Table(
    "session_heads",
    metadata,
    _only_session_key(),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", String(64)),
    Column("flushed", BigInteger, nullable=False),
    Column("last_sequence", BigInteger, nullable=False),
    Column("cleared_through", BigInteger, nullable=False),
    Column("control", BigInteger, nullable=False),
    _partial_index("ix_session_heads_owner", "owner", where="owner IS NOT NULL"),
    postgresql_with={"fillfactor": "50"},
)

replicas = Table(
    "replicas",
    metadata,
    Column("incarnation", String(64), primary_key=True),
    Column("expires_at", Double, nullable=False),  # seconds since 1970 by the database's clock
)

session_events = Table(
    "session_events",
    metadata,
    _session_key(),
    Column("sequence", BigInteger, nullable=False),
    Column("turn_id", String(64)),
    Column("event_time", BigInteger, nullable=False),  # microseconds since 1970, UTC
    Column("correlation_id", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("payload", Text, nullable=False),
    # Which event of which epoch this is; null for events of commands. The key by which a batch may be sent again.
    Column("writer_epoch", BigInteger),
    Column("writer_position", BigInteger),
    PrimaryKeyConstraint("session_key", "sequence"),
    UniqueConstraint("session_key", "writer_epoch", "writer_position"),
)

messages = Table(
    "messages",
    metadata,
    _session_key(),
    Column("ordinal", BigInteger, nullable=False),
    Column("message_id", String(64), nullable=False),
    Column("turn_id", String(64)),
    Column("role", String(16), nullable=False),
    Column("agent", String(64)),
    Column("size", Integer, nullable=False),  # bytes of `body`: pages end by size
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("session_key", "ordinal"),
    UniqueConstraint("session_key", "message_id"),
)

# What the model reads instead of the messages up to `through`, but for the two that are kept word for word (0: none).
# The newest of a session counts.
summaries = Table(
    "summaries",
    metadata,
    _session_key(),
    Column("through", BigInteger, nullable=False),
    Column("first_kept", BigInteger, nullable=False),
    Column("last_kept", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("session_key", "through"),
)

agent_contexts = Table(
    "agent_contexts",
    metadata,
    _only_session_key(),
    Column("current_agent", String(64), nullable=False),
    Column("switch_count", Integer, nullable=False),
    Column("last_switch", Integer, nullable=False),
    Column("work", Text, nullable=False),
)

# What the client of a session declared. Apart from the session's row: it may be large, and lists do without it.
client_tools = Table(
    "client_tools",
    metadata,
    _only_session_key(),
    Column("body", Text, nullable=False),
)

agent_switches = Table(
    "agent_switches",
    metadata,
    _session_key(),
    Column("ordinal", Integer, nullable=False),
    Column("from_agent", String(64), nullable=False),
    Column("to_agent", String(64), nullable=False),
    Column("reason", Text, nullable=False),
    Column("confidence", String(16), nullable=False),
    Column("source", String(16), nullable=False),
    Column("requested_by", String(128), nullable=False),
    Column("time", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("session_key", "ordinal"),
)

turns = Table(
    "turns",
    metadata,
    _session_key(),
    Column("turn_id", String(64), nullable=False),
    Column("number", RowId, nullable=False),  # the sequence of its TurnStarted: orders the turns of a session
    Column("owner_id", String(128), nullable=False),  # of the session: counts what runs for one owner
    Column("state", String(16), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("create_time", UTCDateTime, nullable=False),
    # When the first wait of a paused turn ends, in seconds since 1970 by the database's clock.
    Column("expires_at", Double),
    # When it ended, in seconds since 1970, as long as the log still holds its deltas.
    Column("compactable_since", Double),
    Column("result_text", Text, nullable=False),  # the only content of a turn: what clearing a session empties
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("session_key", "turn_id"),
    UniqueConstraint("session_key", "number"),
    # One turn at a time per session (G3), whatever the code above believes.
    _partial_index("uq_turns_active", "session_key", where="state IN ('RUNNING', 'PAUSED')", unique=True),
    _partial_index("ix_turns_running", "owner_id", where="state = 'RUNNING'"),
    _partial_index("ix_turns_waiting", "expires_at", where="state = 'PAUSED'"),
    _partial_index("ix_turns_compactable", "compactable_since", where="compactable_since IS NOT NULL"),
)

# What each agent did in each turn; what statistics are summed from.
turn_agents = Table(
    "turn_agents",
    metadata,
    _session_key(),
    Column("turn_id", String(64), nullable=False),
    Column("agent", String(64), nullable=False),
    Column("create_time", UTCDateTime, nullable=False),  # of the turn
    Column("model_calls", Integer, nullable=False),
    Column("tool_calls", Integer, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("estimated", Boolean, nullable=False),  # whether a provider left out what any of it cost
    PrimaryKeyConstraint("session_key", "turn_id", "agent"),
)

tool_calls = Table(
    "tool_calls",
    metadata,
    _session_key(),
    Column("tool_call_id", String(128), nullable=False),
    Column("turn_id", String(64), nullable=False),
    # The ordinal of its message * 1000 + its position there: the order in which the model made the calls.
    Column("number", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("edited", Boolean, nullable=False),  # whether it runs with other arguments than its message shows
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("session_key", "tool_call_id"),
    Index("ix_tool_calls_session_key_number", "session_key", "number"),
    _partial_index("ix_tool_calls_open", "session_key", "number", where="state = 'OPEN'"),
    _partial_index("ix_tool_calls_edited", "session_key", where="edited"),
)

approvals = Table(
    "approvals",
    metadata,
    _session_key(),
    Column("approval_id", String(64), nullable=False),
    Column("turn_id", String(64), nullable=False),
    Column("tool_call_id", String(128), nullable=False),
    Column("state", String(32), nullable=False),
    Column("create_time", UTCDateTime, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("session_key", "approval_id"),
    UniqueConstraint("session_key", "tool_call_id"),
    _partial_index("ix_approvals_pending", "session_key", "create_time", where="state = 'PENDING'"),
)

# Rules beside those of the configuration. Those of a session go with it; those of everybody have the owner "".
approval_rules = Table(
    "approval_rules",
    metadata,
    Column("rule_id", String(64), primary_key=True),
    Column("owner_id", String(128), nullable=False),
    _session_key(nullable=True),
    Column("session_id", String(64), nullable=False),
    Column("scope", String(16), nullable=False),
    Column("tool", String(128), nullable=False),
    Column("conditions", Text, nullable=False),
    Column("effect", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("create_time", UTCDateTime, nullable=False),
    Index("ix_approval_rules_owner_id_session_key", "owner_id", "session_key"),
    Index("ix_approval_rules_session_key", "session_key"),
)

inputs = Table(
    "inputs",
    metadata,
    _session_key(),
    Column("input_id", String(64), nullable=False),
    Column("turn_id", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("disposition", String(16), nullable=False),
    Column("accepted_sequence", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    # Where the log says that it was taken or withdrawn; 0 while it waits.
    Column("taken_sequence", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("session_key", "input_id"),
    _partial_index("ix_inputs_pending", "session_key", "accepted_sequence", where="state = 'PENDING'"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("owner_id", String(128), nullable=False),
    Column("rpc", String(64), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("fingerprint", LargeBinary(32), nullable=False),
    _session_key(nullable=True),  # null: the request was about no session
    Column("outcome", Text, nullable=False),
    Column("create_time", UTCDateTime, nullable=False),
    PrimaryKeyConstraint("owner_id", "rpc", "request_id"),
    Index("ix_idempotency_create_time", "create_time"),
)

session_watches = Table(
    "session_watches",
    metadata,
    _session_key(),
    Column("incarnation", String(64), nullable=False),
    PrimaryKeyConstraint("session_key", "incarnation"),
)

# Domain events on their way to subscribers. No foreign key: what happened outlives the session it happened to.
outbox = Table(
    "outbox",
    metadata,
    Column("outbox_id", RowId, Identity(), primary_key=True),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("occurred_at", UTCDateTime, nullable=False),
    Column("session_key", RowId, nullable=False),
    Column("aggregate_id", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("fact", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
)

# Who did what. No foreign key and no content: a record outlives the session it is about.
audit_records = Table(
    "audit_records",
    metadata,
    Column("audit_id", String(64), primary_key=True),
    Column("create_time", UTCDateTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("owner_id", String(128), nullable=False),
    Column("session_id", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target_id", String(128), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("details", Text, nullable=False),
    Column("correlation_id", String(64), nullable=False),
    Index("ix_audit_records_create_time", "create_time", "audit_id"),
    Index("ix_audit_records_owner_id", "owner_id", "session_id", "create_time"),
)

# Secrets the replicas share and nobody configures, made at the first start: what page tokens are signed with.
signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("secret", LargeBinary(64), nullable=False),
)
