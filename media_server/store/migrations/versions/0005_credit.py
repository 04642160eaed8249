"""Credit of keys, and what calls cost."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("keys") as batch:
        batch.add_column(sa.Column("credit", sa.Float))
    with op.batch_alter_table("calls") as batch:
        batch.add_column(sa.Column("key_id", sa.String(32)))
        batch.add_column(sa.Column("per_minute", sa.Float, nullable=False, server_default="0"))
        batch.add_column(sa.Column("cost", sa.Float))


def downgrade() -> None:
    with op.batch_alter_table("calls") as batch:
        for column in ("key_id", "per_minute", "cost"):
            batch.drop_column(column)
    with op.batch_alter_table("keys") as batch:
        batch.drop_column("credit")
