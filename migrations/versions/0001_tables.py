"""Every table of ingest, segments, journeys and deliveries."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from service.db import types

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "api_credential",
        sa.Column("client_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", types.JsonType, nullable=False),
        sa.Column("sandboxes", types.JsonType, nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("revoked_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_api_credential")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", types.Moment(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("facts", types.JsonType, nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_audit_entry")),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index("ix_audit_entry_at", ["sandbox_id", "at"], unique=False)

    op.create_table(
        "connection_lease",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("cap_id", sa.Uuid(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("expires_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "cap_id", "worker", name=op.f("pk_connection_lease")),
    )
    op.create_table(
        "custom_action",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("adapter", sa.String(length=32), nullable=False),
        sa.Column("method", sa.String(length=8), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("headers", types.JsonType, nullable=False),
        sa.Column("payload", types.JsonType, nullable=False),
        sa.Column("auth", types.JsonType, nullable=False),
        sa.Column("auth_secret", types.EncryptedText(), nullable=True),
        sa.Column("auth_secret_ref", sa.String(length=256), nullable=True),
        sa.Column("settings", types.JsonType, nullable=False),
        sa.Column("timeout_ms", sa.Integer(), nullable=False),
        sa.Column("max_retries", sa.Integer(), nullable=False),
        sa.Column("on_unknown", sa.String(length=16), nullable=False),
        sa.Column("on_backlog", sa.String(length=16), nullable=False),
        sa.Column("is_marketing", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_custom_action")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_custom_action_sandbox_id_name")),
    )
    op.create_table(
        "dataset",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("schema_class", sa.String(length=32), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False),
        sa.Column("is_system", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_dataset_sandbox_id_name")),
    )
    op.create_table(
        "datastream",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("app_ids", types.JsonType, nullable=False),
        sa.Column("origins", types.JsonType, nullable=False),
        sa.Column("default_consent", sa.String(length=16), nullable=False),
        sa.Column("logout_on", sa.String(length=16), nullable=False),
        sa.Column("logout_policy", sa.String(length=16), nullable=False),
        sa.Column("event_dataset_id", sa.Uuid(), nullable=False),
        sa.Column("profile_dataset_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_datastream")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_datastream_sandbox_id_name")),
    )
    with op.batch_alter_table("datastream", schema=None) as batch_op:
        batch_op.create_index("ix_datastream_id", ["id"], unique=True)

    op.create_table(
        "delivery",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("journey_version_id", sa.Uuid(), nullable=False),
        sa.Column("action_id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("token_id", sa.Uuid(), nullable=True),
        sa.Column("parameters", types.JsonType, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=True),
        sa.Column("facts", types.JsonType, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("vendor_message_id", sa.String(length=256), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("expires_at", types.Moment(), nullable=False),
        sa.Column("ended_at", types.Moment(), nullable=True),
        sa.Column("opened_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_delivery")),
    )
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_created", ["sandbox_id", "created_at", "id"], unique=False
        )
        batch_op.create_index("ix_delivery_identity", ["identity_id", "sandbox_id"], unique=False)
        batch_op.create_index(
            "ix_delivery_node",
            ["sandbox_id", "journey_version_id", "node_id", "state"],
            unique=False,
        )

    op.create_table(
        "delivery_attempt",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("lane", sa.String(length=128), nullable=False),
        sa.Column("cap_id", sa.Uuid(), nullable=True),
        sa.Column("leased_until", types.Moment(), nullable=False),
        sa.Column("permitted_at", types.Moment(), nullable=False),
        sa.Column("ended_at", types.Moment(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("elapsed_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_delivery_attempt")),
    )
    with op.batch_alter_table("delivery_attempt", schema=None) as batch_op:
        batch_op.create_index(
            "ix_delivery_attempt_delivery", ["sandbox_id", "delivery_id", "number"], unique=False
        )
        batch_op.create_index(
            "ix_delivery_attempt_open",
            ["leased_until"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "delivery_due",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("lane", sa.String(length=128), nullable=False),
        sa.Column("due_at", types.Moment(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("budget_until", types.Moment(), nullable=True),
        sa.Column("origin_error", types.JsonType, nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "delivery_id", name=op.f("pk_delivery_due")),
    )
    with op.batch_alter_table("delivery_due", schema=None) as batch_op:
        batch_op.create_index("ix_delivery_due_lane", ["lane", "due_at"], unique=False)

    op.create_table(
        "endpoint_config",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("config", types.JsonType, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("deployed", types.JsonType, nullable=True),
        sa.Column("deployed_at", types.Moment(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_endpoint_config")),
    )
    op.create_table(
        "experience_event",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=True),
        sa.Column("at", types.Moment(), nullable=False),
        sa.Column("received_at", types.Moment(), nullable=False),
        sa.Column("xdm", types.JsonType, nullable=False),
        sa.Column("data", types.JsonType, nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_experience_event")),
    )
    with op.batch_alter_table("experience_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_experience_event_identity", ["identity_id", "sandbox_id", "at"], unique=False
        )
        batch_op.create_index(
            "ix_experience_event_received", ["received_at"], unique=False, postgresql_using="brin"
        )

    op.create_table(
        "gate_trace",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=True),
        sa.Column("node_id", sa.String(length=64), nullable=True),
        sa.Column("gate", sa.String(length=32), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("facts", types.JsonType, nullable=False),
        sa.Column("at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_gate_trace")),
    )
    with op.batch_alter_table("gate_trace", schema=None) as batch_op:
        batch_op.create_index(
            "ix_gate_trace_identity", ["sandbox_id", "identity_id", "journey_id"], unique=False
        )

    op.create_table(
        "identity",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("namespace", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(length=1024), nullable=False),
        sa.Column("graph_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("login_id", sa.Uuid(), nullable=True),
        sa.Column("login_at", types.Moment(), nullable=True),
        sa.Column("login_event", sa.String(length=256), nullable=True),
        sa.Column("ambiguous_id", sa.Uuid(), nullable=True),
        sa.Column("ambiguous_at", types.Moment(), nullable=True),
        sa.Column("ambiguous_event", sa.String(length=256), nullable=True),
        sa.Column("had_login", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_identity")),
    )
    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.create_index("ix_identity_graph", ["graph_id", "sandbox_id"], unique=False)

    op.create_table(
        "identity_link",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=False),
        sa.Column("strength", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("first_seen_at", types.Moment(), nullable=False),
        sa.Column("last_seen_at", types.Moment(), nullable=False),
        sa.Column("last_event", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint(
            "sandbox_id", "child_id", "parent_id", "strength", name=op.f("pk_identity_link")
        ),
    )
    op.create_table(
        "identity_namespace",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("id_type", sa.String(length=32), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("is_unique", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "code", name=op.f("pk_identity_namespace")),
    )
    op.create_table(
        "inlet",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("requires_token", sa.Boolean(), nullable=False),
        sa.Column("event_dataset_id", sa.Uuid(), nullable=False),
        sa.Column("profile_dataset_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_inlet")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_inlet_sandbox_id_name")),
    )
    with op.batch_alter_table("inlet", schema=None) as batch_op:
        batch_op.create_index("ix_inlet_id", ["id"], unique=True)

    op.create_table(
        "job",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("dedupe_key", sa.String(length=256), nullable=False),
        sa.Column("payload", types.JsonType, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", types.Moment(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("leased_until", types.Moment(), nullable=True),
        sa.Column("result", types.JsonType, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("ended_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_job")),
        sa.UniqueConstraint(
            "sandbox_id", "kind", "dedupe_key", name=op.f("uq_job_sandbox_id_kind_dedupe_key")
        ),
    )
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.create_index("ix_job_due", ["state", "due_at"], unique=False)

    op.create_table(
        "journey",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_journey")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_journey_sandbox_id_name")),
    )
    op.create_table(
        "journey_instance",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("state", types.JsonType, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("entered_at", types.Moment(), nullable=False),
        sa.Column("ended_at", types.Moment(), nullable=True),
        sa.Column("expires_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_journey_instance")),
    )
    with op.batch_alter_table("journey_instance", schema=None) as batch_op:
        batch_op.create_index(
            "ix_journey_instance_identity",
            ["identity_id", "sandbox_id", "journey_id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_journey_instance_life",
            ["sandbox_id", "expires_at"],
            unique=False,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(
            "uq_journey_instance_open",
            ["sandbox_id", "journey_id", "identity_id"],
            unique=True,
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )

    op.create_table(
        "journey_stimulus",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("due_at", types.Moment(), nullable=False),
        sa.Column("payload", types.JsonType, nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_journey_stimulus")),
    )
    with op.batch_alter_table("journey_stimulus", schema=None) as batch_op:
        batch_op.create_index("ix_journey_stimulus_due", ["due_at"], unique=False)

    op.create_table(
        "journey_version",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("journey_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("definition", types.JsonType, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("entry_kind", sa.String(length=32), nullable=False),
        sa.Column("entry_ref", sa.String(length=128), nullable=False),
        sa.Column("entry_status", sa.String(length=16), nullable=False),
        sa.Column("namespace", sa.String(length=64), nullable=False),
        sa.Column("reentrance_s", sa.Integer(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("published_at", types.Moment(), nullable=True),
        sa.Column("ended_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_journey_version")),
        sa.UniqueConstraint(
            "sandbox_id",
            "journey_id",
            "version",
            name=op.f("uq_journey_version_sandbox_id_journey_id_version"),
        ),
    )
    with op.batch_alter_table("journey_version", schema=None) as batch_op:
        batch_op.create_index("ix_journey_version_entry", ["sandbox_id", "entry_ref"], unique=False)

    op.create_table(
        "ledger_delta",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("book", sa.String(length=16), nullable=False),
        sa.Column("journey_version_id", sa.Uuid(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_ledger_delta")),
    )
    op.create_table(
        "ledger_total",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("journey_version_id", sa.Uuid(), nullable=False),
        sa.Column("book", sa.String(length=16), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.String(length=16), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sandbox_id",
            "journey_version_id",
            "book",
            "node_id",
            "entry",
            name=op.f("pk_ledger_total"),
        ),
    )
    op.create_table(
        "merge_policy",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("attribute_merge", sa.String(length=32), nullable=False),
        sa.Column("identity_graph", sa.String(length=16), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_merge_policy")),
    )
    op.create_table(
        "permit_cap",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("last_granted_at", types.Moment(), nullable=True),
        sa.Column("paused_until", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_permit_cap")),
    )
    op.create_table(
        "permit_grant",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cap_id", sa.Uuid(), nullable=False),
        sa.Column("granted_at", types.Moment(), nullable=False),
        sa.Column("counted_until", types.Moment(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_permit_grant")),
    )
    with op.batch_alter_table("permit_grant", schema=None) as batch_op:
        batch_op.create_index(
            "ix_permit_grant_cap", ["sandbox_id", "cap_id", "counted_until"], unique=False
        )

    op.create_table(
        "process_lease",
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("expires_at", types.Moment(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_process_lease")),
    )
    op.create_table(
        "profile",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("attributes", types.JsonType, nullable=False),
        sa.Column("is_test", sa.Boolean(), nullable=False),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_profile")),
    )
    op.create_table(
        "profile_fragment",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("dataset_id", sa.Uuid(), nullable=False),
        sa.Column("valid_from", types.Moment(), nullable=False),
        sa.Column("valid_to", types.Moment(), nullable=True),
        sa.Column("attributes", types.JsonType, nullable=False),
        sa.Column("stamps", types.JsonType, nullable=False),
        sa.PrimaryKeyConstraint(
            "sandbox_id",
            "identity_id",
            "dataset_id",
            "valid_from",
            name=op.f("pk_profile_fragment"),
        ),
    )
    op.create_table(
        "push_token",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("app_id", sa.String(length=255), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=4096), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("announced_at", types.Moment(), nullable=False),
        sa.Column("announced_event", sa.String(length=256), nullable=False),
        sa.Column("logout_policy", sa.String(length=16), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("registered_at", types.Moment(), nullable=False),
        sa.Column("denylisted_at", types.Moment(), nullable=True),
        sa.Column("denylist_reason", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_push_token")),
    )
    with op.batch_alter_table("push_token", schema=None) as batch_op:
        batch_op.create_index("ix_push_token_device", ["device_id", "sandbox_id"], unique=False)
        batch_op.create_index("ix_push_token_owner", ["owner_id", "sandbox_id"], unique=False)

    op.create_table(
        "push_token_owner",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("token_id", sa.Uuid(), nullable=False),
        sa.Column("from_at", types.Moment(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("identity_id", sa.Uuid(), nullable=False),
        sa.Column("to_at", types.Moment(), nullable=True),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("end_cause", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint(
            "sandbox_id", "token_id", "from_at", "id", name=op.f("pk_push_token_owner")
        ),
    )
    op.create_table(
        "push_token_slot",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Uuid(), nullable=False),
        sa.Column("app_id", sa.String(length=255), nullable=False),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("announced_at", types.Moment(), nullable=False),
        sa.Column("announced_event", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint(
            "sandbox_id", "device_id", "app_id", "platform", name=op.f("pk_push_token_slot")
        ),
    )
    op.create_table(
        "quarantine",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", types.Moment(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("body", types.EncryptedText(), nullable=False),
        sa.Column("released_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_quarantine")),
    )
    op.create_table(
        "sandbox",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("title", sa.String(length=256), nullable=False),
        sa.Column("type", sa.String(length=16), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox")),
        sa.UniqueConstraint("name", name=op.f("uq_sandbox_name")),
    )
    op.create_table(
        "schedule",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("cron", sa.String(length=128), nullable=False),
        sa.Column("payload", types.JsonType, nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("next_slot_at", types.Moment(), nullable=True),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_schedule_sandbox_id_name")),
    )
    op.create_table(
        "segment",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=256), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("expression_format", sa.String(length=16), nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("evaluation", sa.String(length=16), nullable=False),
        sa.Column("evaluation_reason", sa.Text(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("updated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_segment")),
        sa.UniqueConstraint("sandbox_id", "name", name=op.f("uq_segment_sandbox_id_name")),
    )
    op.create_table(
        "segment_membership",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("since", types.Moment(), nullable=False),
        sa.Column("evaluated_at", types.Moment(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sandbox_id", "segment_id", "profile_id", name=op.f("pk_segment_membership")
        ),
    )
    with op.batch_alter_table("segment_membership", schema=None) as batch_op:
        batch_op.create_index(
            "ix_segment_membership_profile", ["profile_id", "sandbox_id"], unique=False
        )

    op.create_table(
        "segment_membership_interval",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("segment_id", sa.Uuid(), nullable=False),
        sa.Column("profile_id", sa.Uuid(), nullable=False),
        sa.Column("entered_at", types.Moment(), nullable=False),
        sa.Column("left_at", types.Moment(), nullable=True),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("left_cause", sa.String(length=32), nullable=True),
        sa.Column("left_event_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint(
            "sandbox_id",
            "segment_id",
            "profile_id",
            "entered_at",
            name=op.f("pk_segment_membership_interval"),
        ),
    )
    op.create_table(
        "signing_key",
        sa.Column("kid", sa.String(length=64), nullable=False),
        sa.Column("secret", types.EncryptedText(), nullable=False),
        sa.Column("created_at", types.Moment(), nullable=False),
        sa.Column("retired_at", types.Moment(), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_key")),
    )
    op.create_table(
        "step_event",
        sa.Column("sandbox_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("instance_id", sa.Uuid(), nullable=False),
        sa.Column("journey_version_id", sa.Uuid(), nullable=False),
        sa.Column("node_id", sa.String(length=64), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("at", types.Moment(), nullable=False),
        sa.Column("body", types.JsonType, nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("sandbox_id", "id", name=op.f("pk_step_event")),
    )
    with op.batch_alter_table("step_event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_step_event_instance", ["sandbox_id", "instance_id", "sequence"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("step_event", schema=None) as batch_op:
        batch_op.drop_index("ix_step_event_instance")

    op.drop_table("step_event")
    op.drop_table("signing_key")
    op.drop_table("segment_membership_interval")
    with op.batch_alter_table("segment_membership", schema=None) as batch_op:
        batch_op.drop_index("ix_segment_membership_profile")

    op.drop_table("segment_membership")
    op.drop_table("segment")
    op.drop_table("schedule")
    op.drop_table("sandbox")
    op.drop_table("quarantine")
    op.drop_table("push_token_slot")
    op.drop_table("push_token_owner")
    with op.batch_alter_table("push_token", schema=None) as batch_op:
        batch_op.drop_index("ix_push_token_owner")
        batch_op.drop_index("ix_push_token_device")

    op.drop_table("push_token")
    op.drop_table("profile_fragment")
    op.drop_table("profile")
    op.drop_table("process_lease")
    with op.batch_alter_table("permit_grant", schema=None) as batch_op:
        batch_op.drop_index("ix_permit_grant_cap")

    op.drop_table("permit_grant")
    op.drop_table("permit_cap")
    op.drop_table("merge_policy")
    op.drop_table("ledger_total")
    op.drop_table("ledger_delta")
    with op.batch_alter_table("journey_version", schema=None) as batch_op:
        batch_op.drop_index("ix_journey_version_entry")

    op.drop_table("journey_version")
    with op.batch_alter_table("journey_stimulus", schema=None) as batch_op:
        batch_op.drop_index("ix_journey_stimulus_due")

    op.drop_table("journey_stimulus")
    with op.batch_alter_table("journey_instance", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_journey_instance_open",
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_journey_instance_life",
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_journey_instance_identity")

    op.drop_table("journey_instance")
    op.drop_table("journey")
    with op.batch_alter_table("job", schema=None) as batch_op:
        batch_op.drop_index("ix_job_due")

    op.drop_table("job")
    with op.batch_alter_table("inlet", schema=None) as batch_op:
        batch_op.drop_index("ix_inlet_id")

    op.drop_table("inlet")
    op.drop_table("identity_namespace")
    op.drop_table("identity_link")
    with op.batch_alter_table("identity", schema=None) as batch_op:
        batch_op.drop_index("ix_identity_graph")

    op.drop_table("identity")
    with op.batch_alter_table("gate_trace", schema=None) as batch_op:
        batch_op.drop_index("ix_gate_trace_identity")

    op.drop_table("gate_trace")
    with op.batch_alter_table("experience_event", schema=None) as batch_op:
        batch_op.drop_index("ix_experience_event_received", postgresql_using="brin")
        batch_op.drop_index("ix_experience_event_identity")

    op.drop_table("experience_event")
    op.drop_table("endpoint_config")
    with op.batch_alter_table("delivery_due", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_due_lane")

    op.drop_table("delivery_due")
    with op.batch_alter_table("delivery_attempt", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_delivery_attempt_open",
            postgresql_where=sa.text("ended_at IS NULL"),
            sqlite_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_delivery_attempt_delivery")

    op.drop_table("delivery_attempt")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_index("ix_delivery_node")
        batch_op.drop_index("ix_delivery_identity")
        batch_op.drop_index("ix_delivery_created")

    op.drop_table("delivery")
    with op.batch_alter_table("datastream", schema=None) as batch_op:
        batch_op.drop_index("ix_datastream_id")

    op.drop_table("datastream")
    op.drop_table("dataset")
    op.drop_table("custom_action")
    op.drop_table("connection_lease")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_entry_at")

    op.drop_table("audit_entry")
    op.drop_table("api_credential")
