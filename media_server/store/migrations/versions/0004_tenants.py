"""Tenants."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("keys", "calls"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("tenant", sa.String(64), nullable=False, server_default=""))
    op.create_index("calls_tenant", "calls", ["tenant", "started_at"])


def downgrade() -> None:
    op.drop_index("calls_tenant", "calls")
    for table in ("keys", "calls"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("tenant")
