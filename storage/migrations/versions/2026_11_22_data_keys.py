"""Keys of persons, under which what is sealed about them lies."""

import sqlalchemy as sa
from alembic import op

revision = "data_keys"
down_revision = "break_glass"


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("owner", sa.Uuid(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("master", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_data_keys")),
    )
    op.create_index(
        op.f("ix_data_keys_master"),
        "data_keys",
        ["master"],
        postgresql_where=sa.text("destroyed_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("data_keys")
