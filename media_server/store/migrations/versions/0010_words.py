"""What was said in a call, in one place to be searched, and figures of it for a list."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("calls") as batch:
        batch.add_column(sa.Column("first_words", sa.String(200)))
        batch.add_column(sa.Column("words", sa.Text()))
        batch.add_column(sa.Column("turns", sa.Integer()))
        batch.add_column(sa.Column("response_ms", sa.Float()))


def downgrade() -> None:
    with op.batch_alter_table("calls") as batch:
        for name in ("first_words", "words", "turns", "response_ms"):
            batch.drop_column(name)
