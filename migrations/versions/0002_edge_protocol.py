"""Datastream settings, mobile properties, consent, live activities, interactions."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from service.db import types

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "delivery_interaction",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("action_id", sa.String(length=255), nullable=True),
        sa.Column("at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sandbox_id", "delivery_id", "id", name=op.f("pk_delivery_interaction")
        ),
    )
    op.create_table(
        "live_activity_token",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("app_id", sa.String(length=255), nullable=True),
        sa.Column("platform", sa.String(length=16), nullable=True),
        sa.Column("token", sa.String(length=4096), nullable=True),
        sa.Column("token_id", sa.Uuid(), nullable=True),
        sa.Column("announced_at", types.Moment(), nullable=False),
        sa.Column("announced_event", sa.String(length=256), nullable=False),
        sa.Column("registered_at", types.Moment(), nullable=False),
        sa.Column("denylisted_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint(
            "sandbox_id", "device_id", "kind", "name", name=op.f("pk_live_activity_token")
        ),
    )
    with op.batch_alter_table("live_activity_token", schema=None) as batch_op:
        batch_op.create_index(
            "ix_live_activity_token_token", ["token_id", "sandbox_id"], unique=False
        )

    op.create_table(
        "mobile_property",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("app_id", sa.String(length=128), nullable=False),
        sa.Column("settings", types.JsonType, nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_mobile_property")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_mobile_property_sandbox_id_name")),
    )
    with op.batch_alter_table("mobile_property", schema=None) as batch_op:
        batch_op.create_index("ix_mobile_property_app_id", ["app_id"], unique=True)

    with op.batch_alter_table("datastream", schema=None) as batch_op:
        batch_op.add_column(sa.Column("settings", types.JsonType, nullable=True))
        batch_op.add_column(sa.Column("login_key", types.EncryptedText(), nullable=True))

    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.add_column(sa.Column("consent", sa.String(length=8), nullable=True))
        batch_op.add_column(sa.Column("consent_at", types.Moment(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.drop_column("consent_at")
        batch_op.drop_column("consent")

    with op.batch_alter_table("datastream", schema=None) as batch_op:
        batch_op.drop_column("login_key")
        batch_op.drop_column("settings")

    with op.batch_alter_table("mobile_property", schema=None) as batch_op:
        batch_op.drop_index("ix_mobile_property_app_id")

    op.drop_table("mobile_property")
    with op.batch_alter_table("live_activity_token", schema=None) as batch_op:
        batch_op.drop_index("ix_live_activity_token_token")

    op.drop_table("live_activity_token")
    op.drop_table("delivery_interaction")
