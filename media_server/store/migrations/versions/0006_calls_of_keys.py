"""How many calls at once a key may have."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("keys") as batch:
        batch.add_column(sa.Column("max_calls", sa.Integer))


def downgrade() -> None:
    with op.batch_alter_table("keys") as batch:
        batch.drop_column("max_calls")
