"""Secrets"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=True),
        sa.Column("team_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_four", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(scope = 'own' AND owner_id IS NOT NULL AND team_id IS NULL) OR "
            "(scope = 'team' AND team_id IS NOT NULL AND owner_id IS NULL)",
            name=op.f("ck_secrets_scope"),
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["users.id"], name=op.f("fk_secrets_owner_id_users")),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_secrets_team_id_teams")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_secrets")),
    )
    for scope, owner in (("own", "owner_id"), ("team", "team_id")):
        op.create_index(
            f"uq_secrets_{owner}_name",
            "secrets",
            [owner, sa.literal_column("lower(name)")],
            unique=True,
            postgresql_where=sa.text(f"deleted_at IS NULL AND scope = '{scope}'"),
        )
    op.create_index("ix_secrets_name", "secrets", [sa.literal_column("lower(name)")], unique=False)
    op.create_table(
        "secret_versions",
        sa.Column("secret_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("replaced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_four", sa.Text(), nullable=True),
        sa.Column("holder", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("seal", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(
            ["secret_id"], ["secrets.id"], name=op.f("fk_secret_versions_secret_id_secrets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("secret_id", "version", name=op.f("pk_secret_versions")),
    )
    op.create_index(
        "ix_secret_versions_begun_at",
        "secret_versions",
        ["begun_at"],
        unique=False,
        postgresql_where=sa.text("stored_at IS NULL"),
    )
    op.create_index(
        "ix_secret_versions_replaced_at",
        "secret_versions",
        ["replaced_at"],
        unique=False,
        postgresql_where=sa.text("replaced_at IS NOT NULL"),
    )
    op.create_index("ix_secret_versions_key_id", "secret_versions", ["holder", "key_id"], unique=False)
    op.create_table(
        "secret_uses",
        sa.Column("execution_id", sa.Uuid(), nullable=False),
        sa.Column("secret_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_secret_uses_execution_id_executions"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["secret_id", "version"],
            ["secret_versions.secret_id", "secret_versions.version"],
            name=op.f("fk_secret_uses_secret_id_version_secret_versions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("execution_id", "secret_id", "version", name=op.f("pk_secret_uses")),
    )
    op.create_index("ix_secret_uses_secret_id_version", "secret_uses", ["secret_id", "version"], unique=False)
