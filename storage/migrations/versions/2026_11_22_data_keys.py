"""Keys of persons, and room for what is sealed under them; jobs move what is plain (expand).

The way back would leave what was sealed without its keys: it is refused while there is any.
"""

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
    op.alter_column("visit_notes", "text", nullable=True)
    op.add_column("visit_notes", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.create_check_constraint(
        op.f("ck_visit_notes_text_or_sealed"), "visit_notes", "num_nonnulls(text, sealed) = 1"
    )
    op.create_index(
        "ix_visit_notes_plain",
        "visit_notes",
        ["visit_id"],
        postgresql_where=sa.text("sealed IS NULL"),
    )
    for column in (
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("old_key", sa.Text(), nullable=True),
        sa.Column("unread_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("ecg_chunks", column)
    op.create_index(
        "ix_ecg_chunks_plain",
        "ecg_chunks",
        ["id"],
        postgresql_where=sa.text("sealed_at IS NULL"),
    )
    op.create_index(
        "ix_ecg_chunks_old",
        "ecg_chunks",
        ["sealed_at"],
        postgresql_where=sa.text("old_key IS NOT NULL"),
    )


def downgrade() -> None:
    # Asked of the keys: what is sealed under them is not looked at here.
    used = sa.text("SELECT EXISTS (SELECT FROM data_keys WHERE destroyed_at IS NULL)")
    if op.get_bind().scalar(used):
        raise RuntimeError("there are keys of persons: without them what is sealed is lost")
    op.drop_index("ix_ecg_chunks_old", "ecg_chunks")
    op.drop_index("ix_ecg_chunks_plain", "ecg_chunks")
    op.drop_column("ecg_chunks", "unread_at")
    op.drop_column("ecg_chunks", "old_key")
    op.drop_column("ecg_chunks", "sealed_at")
    op.drop_index("ix_visit_notes_plain", "visit_notes")
    op.drop_constraint(op.f("ck_visit_notes_text_or_sealed"), "visit_notes")
    op.drop_column("visit_notes", "sealed")
    op.alter_column("visit_notes", "text", nullable=False)
    op.drop_table("data_keys")
