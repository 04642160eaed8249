"""What a token settles of its call."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tokens") as batch:
        batch.add_column(sa.Column("sealed", sa.JSON))


def downgrade() -> None:
    with op.batch_alter_table("tokens") as batch:
        batch.drop_column("sealed")
