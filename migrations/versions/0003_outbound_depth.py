"""Outbound depth."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from service.db import types

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "dead_letter",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("context", types.EncryptedText(), nullable=True),
        sa.Column("replay_id", sa.Uuid(), nullable=True),
        sa.Column("replayed_at", types.Moment(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("expires_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "delivery_id", name=op.f("pk_dead_letter")),
    )
    with op.batch_alter_table("dead_letter", schema=None) as batch_op:
        batch_op.create_index(
            "ix_dead_letter_created", ["sandbox_id", "created_at", "delivery_id"], unique=False
        )

    op.create_table(
        "destination",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("breaker", sa.String(length=16), nullable=False),
        sa.Column("breaker_until", types.Moment(), nullable=True),
        sa.Column("probed_at", types.Moment(), nullable=True),
        sa.Column("not_before", types.Moment(), nullable=True),
        sa.Column("pace", sa.Float(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=True),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_destination")),
    )
    op.create_table(
        "halt",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("reason", sa.String(length=256), nullable=True),
        sa.Column("numbers", types.JsonType, nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("lifted_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_halt")),
    )
    op.create_table(
        "held_verdict",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("incident_id", sa.Uuid(), nullable=False),
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("called_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sandbox_id", "incident_id", "token_id", name=op.f("pk_held_verdict")
        ),
    )
    op.create_table(
        "incident",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("facts", types.JsonType, nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("opened_at", types.Moment(), nullable=False),
        sa.Column("closed_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_incident")),
    )
    with op.batch_alter_table("incident", schema=None) as batch_op:
        batch_op.create_index(
            "ix_incident_action", ["sandbox_id", "action_id", "closed_at"], unique=False
        )

    op.create_table(
        "receipt_source",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("provider", sa.String(length=32), nullable=False),
        sa.Column("settings", types.JsonType, nullable=False),
        sa.Column("secret", types.EncryptedText(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_receipt_source")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_receipt_source_sandbox_id_name")),
    )
    op.create_table(
        "vendor_token",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token", types.EncryptedText(), nullable=True),
        sa.Column("refresh_at", types.Moment(), nullable=True),
        sa.Column("expires_at", types.Moment(), nullable=True),
        sa.Column("renewing_until", types.Moment(), nullable=True),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_vendor_token")),
    )
    with op.batch_alter_table("custom_action", schema=None) as batch_op:
        batch_op.add_column(sa.Column("query", types.JsonType, nullable=True))
        batch_op.add_column(sa.Column("parameters", types.JsonType, nullable=True))
        batch_op.add_column(sa.Column("answers", types.JsonType, nullable=True))
        batch_op.add_column(sa.Column("connection", types.JsonType, nullable=True))
        batch_op.add_column(sa.Column("connection_secret", types.EncryptedText(), nullable=True))

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("feedback", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("feedback_at", types.Moment(), nullable=True))
        batch_op.add_column(sa.Column("feedback_reason", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("replay_of", sa.Uuid(), nullable=True))

    with op.batch_alter_table("endpoint_config", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("kind", sa.String(length=16), server_default="capping", nullable=False)
        )

    with op.batch_alter_table("permit_grant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("shares", types.JsonType, nullable=True))

    with op.batch_alter_table("permit_cap", schema=None) as batch_op:
        batch_op.add_column(sa.Column("max_calls_count", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("period_in_ms", sa.Integer(), nullable=True))

    with op.batch_alter_table("delivery_interaction", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_interaction_at", ["at", "sandbox_id"], unique=False)

    op.create_table(
        "live_activity_owner",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("announced_at", types.Moment(), nullable=False),
        sa.Column("announced_event", sa.String(length=256), nullable=False),
        sa.Column("registered_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "token_id", name=op.f("pk_live_activity_owner")),
    )
    op.execute(
        """
        /* across sandboxes: fill-live-activity-owner */
        INSERT INTO live_activity_owner (sandbox_id, token_id, device_id, kind, announced_at,
            announced_event, registered_at)
        SELECT n.sandbox_id, n.token_id, n.device_id, n.kind, n.announced_at, n.announced_event,
            n.registered_at
        FROM (
            SELECT t.*, ROW_NUMBER() OVER (
                PARTITION BY t.sandbox_id, t.token_id
                ORDER BY t.announced_at DESC, t.announced_event DESC, t.device_id DESC
            ) AS place
            FROM live_activity_token AS t WHERE t.token_id IS NOT NULL
        ) AS n WHERE n.place = 1
        """
    )


def downgrade() -> None:
    op.drop_table("live_activity_owner")
    with op.batch_alter_table("delivery_interaction", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_interaction_at")

    with op.batch_alter_table("permit_cap", schema=None) as batch_op:
        batch_op.drop_column("period_in_ms")
        batch_op.drop_column("max_calls_count")

    with op.batch_alter_table("permit_grant", schema=None) as batch_op:
        batch_op.drop_column("shares")

    with op.batch_alter_table("endpoint_config", schema=None) as batch_op:
        batch_op.drop_column("kind")

    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_column("replay_of")
        batch_op.drop_column("feedback_reason")
        batch_op.drop_column("feedback_at")
        batch_op.drop_column("feedback")

    with op.batch_alter_table("custom_action", schema=None) as batch_op:
        batch_op.drop_column("connection_secret")
        batch_op.drop_column("connection")
        batch_op.drop_column("answers")
        batch_op.drop_column("parameters")
        batch_op.drop_column("query")

    op.drop_table("vendor_token")
    op.drop_table("receipt_source")
    with op.batch_alter_table("incident", schema=None) as batch_op:
        batch_op.drop_index("ix_incident_action")

    op.drop_table("incident")
    op.drop_table("held_verdict")
    op.drop_table("halt")
    op.drop_table("destination")
    with op.batch_alter_table("dead_letter", schema=None) as batch_op:
        batch_op.drop_index("ix_dead_letter_created")

    op.drop_table("dead_letter")
