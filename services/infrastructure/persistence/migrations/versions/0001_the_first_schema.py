"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from services.infrastructure.persistence.types import UTCDateTime

RowId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = (
    "audit_records",
    "outbox",
    "replicas",
    "sessions",
    "signing_keys",
    "agent_contexts",
    "agent_switches",
    "approval_rules",
    "approvals",
    "client_tools",
    "idempotency",
    "inputs",
    "messages",
    "session_events",
    "session_heads",
    "session_watches",
    "summaries",
    "tool_calls",
    "turn_agents",
    "turns",
)


def upgrade() -> None:
    op.create_table(
        "audit_records",
        sa.Column("audit_id", sa.String(length=64), nullable=False),
        sa.Column("create_time", UTCDateTime(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("owner_id", sa.String(length=128), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target_id", sa.String(length=128), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit_records")),
    )
    op.create_index("ix_audit_records_create_time", "audit_records", ["create_time", "audit_id"], unique=False)
    op.create_index(
        "ix_audit_records_owner_id", "audit_records", ["owner_id", "session_id", "create_time"], unique=False
    )
    op.create_table(
        "outbox",
        sa.Column("outbox_id", RowId, sa.Identity(always=False), nullable=False),
        sa.Column("event_id", sa.String(length=64), nullable=False),
        sa.Column("occurred_at", UTCDateTime(), nullable=False),
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("aggregate_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("outbox_id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("event_id", name=op.f("uq_outbox_event_id")),
    )
    op.create_table(
        "replicas",
        sa.Column("incarnation", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("incarnation", name=op.f("pk_replicas")),
    )
    op.create_table(
        "sessions",
        sa.Column("session_key", RowId, sa.Identity(always=False), nullable=False),
        sa.Column("owner_id", sa.String(length=128), nullable=False),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("deactivation_reason", sa.Text(), nullable=False),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("history_bytes", sa.BigInteger(), nullable=False),
        sa.Column("message_limit", sa.Integer(), nullable=False),
        sa.Column("last_ordinal", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("create_time", UTCDateTime(), nullable=False),
        sa.Column("update_time", UTCDateTime(), nullable=False),
        sa.Column("last_activity_time", UTCDateTime(), nullable=False),
        sa.Column("usage", sa.Text(), nullable=False),
        sa.Column("delete_time", UTCDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("session_key", name=op.f("pk_sessions")),
        sa.UniqueConstraint("owner_id", "session_id", name=op.f("uq_sessions_owner_id_session_id")),
    )
    op.create_index(
        "ix_sessions_owner_id_last_activity_time",
        "sessions",
        ["owner_id", "last_activity_time", "session_id"],
        unique=False,
    )

    op.create_index(
        "ix_sessions_deleted",
        "sessions",
        ["delete_time"],
        unique=False,
        postgresql_where=sa.text("delete_time IS NOT NULL"),
        sqlite_where=sa.text("delete_time IS NOT NULL"),
    )

    op.create_table(
        "signing_keys",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.LargeBinary(length=64), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_signing_keys")),
    )
    op.create_table(
        "agent_contexts",
        sa.Column("session_key", RowId, autoincrement=False, nullable=False),
        sa.Column("current_agent", sa.String(length=64), nullable=False),
        sa.Column("switch_count", sa.Integer(), nullable=False),
        sa.Column("last_switch", sa.Integer(), nullable=False),
        sa.Column("work", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_agent_contexts_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", name=op.f("pk_agent_contexts")),
    )
    op.create_table(
        "agent_switches",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("from_agent", sa.String(length=64), nullable=False),
        sa.Column("to_agent", sa.String(length=64), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("confidence", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("time", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_agent_switches_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "ordinal", name=op.f("pk_agent_switches")),
    )
    op.create_table(
        "approval_rules",
        sa.Column("rule_id", sa.String(length=64), nullable=False),
        sa.Column("owner_id", sa.String(length=128), nullable=False),
        sa.Column("session_key", RowId, nullable=True),
        sa.Column("session_id", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("tool", sa.String(length=128), nullable=False),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("effect", sa.String(length=16), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("create_time", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_approval_rules_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("rule_id", name=op.f("pk_approval_rules")),
    )
    op.create_index(
        "ix_approval_rules_owner_id_session_key", "approval_rules", ["owner_id", "session_key"], unique=False
    )
    op.create_index("ix_approval_rules_session_key", "approval_rules", ["session_key"], unique=False)
    op.create_table(
        "approvals",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("approval_id", sa.String(length=64), nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("tool_call_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("create_time", UTCDateTime(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_approvals_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "approval_id", name=op.f("pk_approvals")),
        sa.UniqueConstraint("session_key", "tool_call_id", name=op.f("uq_approvals_session_key_tool_call_id")),
    )
    op.create_index(
        "ix_approvals_pending",
        "approvals",
        ["session_key", "create_time"],
        unique=False,
        postgresql_where=sa.text("state = 'PENDING'"),
        sqlite_where=sa.text("state = 'PENDING'"),
    )

    op.create_table(
        "client_tools",
        sa.Column("session_key", RowId, autoincrement=False, nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_client_tools_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", name=op.f("pk_client_tools")),
    )
    op.create_table(
        "idempotency",
        sa.Column("owner_id", sa.String(length=128), nullable=False),
        sa.Column("rpc", sa.String(length=64), nullable=False),
        sa.Column("request_id", sa.String(length=128), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(length=32), nullable=False),
        sa.Column("session_key", RowId, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("create_time", UTCDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_idempotency_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_id", "rpc", "request_id", name=op.f("pk_idempotency")),
    )
    op.create_index("ix_idempotency_create_time", "idempotency", ["create_time"], unique=False)

    op.create_table(
        "inputs",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("input_id", sa.String(length=64), nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("accepted_sequence", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("taken_sequence", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_inputs_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "input_id", name=op.f("pk_inputs")),
    )
    op.create_index(
        "ix_inputs_pending",
        "inputs",
        ["session_key", "accepted_sequence"],
        unique=False,
        postgresql_where=sa.text("state = 'PENDING'"),
        sqlite_where=sa.text("state = 'PENDING'"),
    )

    op.create_table(
        "messages",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(length=64), nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=True),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("agent", sa.String(length=64), nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_messages_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "ordinal", name=op.f("pk_messages")),
        sa.UniqueConstraint("session_key", "message_id", name=op.f("uq_messages_session_key_message_id")),
    )
    op.create_table(
        "session_events",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=True),
        sa.Column("event_time", sa.BigInteger(), nullable=False),
        sa.Column("correlation_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("writer_epoch", sa.BigInteger(), nullable=True),
        sa.Column("writer_position", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_session_events_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "sequence", name=op.f("pk_session_events")),
        sa.UniqueConstraint(
            "session_key",
            "writer_epoch",
            "writer_position",
            name=op.f("uq_session_events_session_key_writer_epoch_writer_position"),
        ),
    )
    op.create_table(
        "session_heads",
        sa.Column("session_key", RowId, autoincrement=False, nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=True),
        sa.Column("flushed", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.Column("cleared_through", sa.BigInteger(), nullable=False),
        sa.Column("control", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_session_heads_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", name=op.f("pk_session_heads")),
        postgresql_with={"fillfactor": "50"},
    )
    op.create_index(
        "ix_session_heads_owner",
        "session_heads",
        ["owner"],
        unique=False,
        postgresql_where=sa.text("owner IS NOT NULL"),
        sqlite_where=sa.text("owner IS NOT NULL"),
    )

    op.create_table(
        "session_watches",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("incarnation", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_session_watches_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "incarnation", name=op.f("pk_session_watches")),
    )
    op.create_table(
        "summaries",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("first_kept", sa.BigInteger(), nullable=False),
        sa.Column("last_kept", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_summaries_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "through", name=op.f("pk_summaries")),
    )
    op.create_table(
        "tool_calls",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("tool_call_id", sa.String(length=128), nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("edited", sa.Boolean(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_tool_calls_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "tool_call_id", name=op.f("pk_tool_calls")),
    )
    op.create_index("ix_tool_calls_session_key_number", "tool_calls", ["session_key", "number"], unique=False)
    op.create_index(
        "ix_tool_calls_edited",
        "tool_calls",
        ["session_key"],
        unique=False,
        postgresql_where=sa.text("edited"),
        sqlite_where=sa.text("edited"),
    )
    op.create_index(
        "ix_tool_calls_open",
        "tool_calls",
        ["session_key", "number"],
        unique=False,
        postgresql_where=sa.text("state = 'OPEN'"),
        sqlite_where=sa.text("state = 'OPEN'"),
    )

    op.create_table(
        "turn_agents",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=64), nullable=False),
        sa.Column("create_time", UTCDateTime(), nullable=False),
        sa.Column("model_calls", sa.Integer(), nullable=False),
        sa.Column("tool_calls", sa.Integer(), nullable=False),
        sa.Column("prompt_tokens", sa.BigInteger(), nullable=False),
        sa.Column("completion_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cached_tokens", sa.BigInteger(), nullable=False),
        sa.Column("reasoning_tokens", sa.BigInteger(), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_turn_agents_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "turn_id", "agent", name=op.f("pk_turn_agents")),
    )
    op.create_table(
        "turns",
        sa.Column("session_key", RowId, nullable=False),
        sa.Column("turn_id", sa.String(length=64), nullable=False),
        sa.Column("number", RowId, nullable=False),
        sa.Column("owner_id", sa.String(length=128), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("agent", sa.String(length=64), nullable=False),
        sa.Column("create_time", UTCDateTime(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("compactable_since", sa.Double(), nullable=True),
        sa.Column("result_text", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_key"], ["sessions.session_key"], name=op.f("fk_turns_session_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("session_key", "turn_id", name=op.f("pk_turns")),
        sa.UniqueConstraint("session_key", "number", name=op.f("uq_turns_session_key_number")),
    )
    op.create_index(
        "ix_turns_running",
        "turns",
        ["owner_id"],
        unique=False,
        postgresql_where=sa.text("state = 'RUNNING'"),
        sqlite_where=sa.text("state = 'RUNNING'"),
    )
    op.create_index(
        "ix_turns_waiting",
        "turns",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'PAUSED'"),
        sqlite_where=sa.text("state = 'PAUSED'"),
    )
    op.create_index(
        "ix_turns_compactable",
        "turns",
        ["compactable_since"],
        unique=False,
        postgresql_where=sa.text("compactable_since IS NOT NULL"),
        sqlite_where=sa.text("compactable_since IS NOT NULL"),
    )
    op.create_index(
        "uq_turns_active",
        "turns",
        ["session_key"],
        unique=True,
        postgresql_where=sa.text("state IN ('RUNNING', 'PAUSED')"),
        sqlite_where=sa.text("state IN ('RUNNING', 'PAUSED')"),
    )


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)
