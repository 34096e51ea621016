"""What people may do: views of further teams, permission sets, versions, erasure"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("teams", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.create_index("uq_teams_name_folded", "teams", [sa.literal_column("lower(name)")], unique=True)
    op.add_column("users", sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False))
    op.add_column(
        "users",
        sa.Column("permission_sets", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    )
    op.add_column("users", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "team_views",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("team_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["team_id"], ["teams.id"], name=op.f("fk_team_views_team_id_teams")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_team_views_user_id_users")),
        sa.PrimaryKeyConstraint("user_id", "team_id", name=op.f("pk_team_views")),
    )
    op.create_index(op.f("ix_team_views_team_id"), "team_views", ["team_id"], unique=False)


def downgrade() -> None:
    op.drop_table("team_views")
    op.drop_column("users", "erased_at")
    op.drop_column("users", "permission_sets")
    op.drop_column("users", "version")
    op.drop_index("uq_teams_name_folded", table_name="teams")
    op.drop_column("teams", "version")
