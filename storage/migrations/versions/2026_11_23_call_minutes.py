"""How calls went, minute by minute; the version before knows nothing of it."""

import sqlalchemy as sa
from alembic import op

revision = "call_minutes"
down_revision = "ecg_strips"


def upgrade() -> None:
    op.create_table(
        "call_minutes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("room_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("word", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kbps", sa.BigInteger(), nullable=False),
        sa.Column("lost_permille", sa.BigInteger(), nullable=True),
        sa.Column("rtt_ms", sa.BigInteger(), nullable=True),
        sa.Column("jitter_ms", sa.BigInteger(), nullable=True),
        sa.Column("concealed_permille", sa.BigInteger(), nullable=True),
        sa.Column("frozen_ms", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "direction IN ('publish', 'subscribe')", name=op.f("ck_call_minutes_direction")
        ),
        sa.CheckConstraint(
            "word IN ('good', 'fair', 'poor', 'lost')", name=op.f("ck_call_minutes_word")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_call_minutes_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_call_minutes")),
    )
    op.create_index(op.f("ix_call_minutes_room_id_since"), "call_minutes", ["room_id", "since"])
    op.create_index(op.f("ix_call_minutes_person_id"), "call_minutes", ["person_id"])
    op.create_index(op.f("ix_call_minutes_since"), "call_minutes", ["since"])


def downgrade() -> None:
    op.drop_table("call_minutes")
