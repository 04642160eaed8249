"""Credit that is set aside for calls under way."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calls") as batch:
        batch.add_column(sa.Column("reserved", sa.Float))


def downgrade() -> None:
    with op.batch_alter_table("calls") as batch:
        batch.drop_column("reserved")
