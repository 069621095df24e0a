"""What a lesson shows and leaves: decks of slides and their turns, takes and their segments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "lesson_media"
down_revision = "lesson_room"


def upgrade() -> None:
    op.create_table(
        "lesson_decks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pages", sa.BigInteger(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("texts", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.CheckConstraint(
            "pages > 0 AND pages = cardinality(texts)", name=op.f("ck_lesson_decks_pages")
        ),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_decks_lesson_id_lessons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_decks")),
    )
    op.create_index(
        op.f("ix_lesson_decks_lesson_id_added_at"),
        "lesson_decks",
        ["lesson_id", "added_at"],
        unique=False,
    )
    op.create_table(
        "lesson_turns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("deck_id", sa.Uuid(), nullable=False),
        sa.Column("page", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("page > 0", name=op.f("ck_lesson_turns_page")),
        sa.ForeignKeyConstraint(
            ["deck_id"], ["lesson_decks.id"], name=op.f("fk_lesson_turns_deck_id_lesson_decks")
        ),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_turns_lesson_id_lessons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_turns")),
    )
    op.create_index(
        op.f("ix_lesson_turns_lesson_id_at"), "lesson_turns", ["lesson_id", "at"], unique=False
    )
    op.create_table(
        "lesson_takes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("base_ms", sa.BigInteger(), nullable=False),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_ms", sa.BigInteger(), nullable=True),
        sa.Column("complete", sa.Boolean(), server_default="false", nullable=False),
        sa.CheckConstraint(
            "audience IN ('class', 'school')", name=op.f("ck_lesson_takes_audience")
        ),
        sa.CheckConstraint("base_ms >= 0", name=op.f("ck_lesson_takes_base")),
        sa.CheckConstraint("stopped_at >= started_at", name=op.f("ck_lesson_takes_times")),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_takes_lesson_id_lessons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_takes")),
    )
    op.create_index(
        op.f("ix_lesson_takes_lesson_id_base_ms"),
        "lesson_takes",
        ["lesson_id", "base_ms"],
        unique=False,
    )
    op.create_index(
        "ix_lesson_takes_running",
        "lesson_takes",
        ["lesson_id"],
        unique=True,
        postgresql_where=sa.text("stopped_at IS NULL"),
    )
    op.create_table(
        "lesson_segments",
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("start_ms", sa.BigInteger(), nullable=False),
        sa.Column("take_id", sa.Uuid(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("audio_size", sa.BigInteger(), nullable=False),
        sa.Column("lost_ms", sa.BigInteger(), nullable=False),
        sa.Column("stored_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("duration_ms > 0", name=op.f("ck_lesson_segments_duration")),
        sa.CheckConstraint("lost_ms >= 0", name=op.f("ck_lesson_segments_lost")),
        sa.CheckConstraint("size > 0 AND audio_size > 0", name=op.f("ck_lesson_segments_sizes")),
        sa.CheckConstraint("start_ms >= 0", name=op.f("ck_lesson_segments_start")),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_segments_lesson_id_lessons")
        ),
        sa.ForeignKeyConstraint(
            ["take_id"], ["lesson_takes.id"], name=op.f("fk_lesson_segments_take_id_lesson_takes")
        ),
        sa.PrimaryKeyConstraint("lesson_id", "start_ms", name=op.f("pk_lesson_segments")),
    )


def downgrade() -> None:
    op.drop_table("lesson_segments")
    op.drop_table("lesson_takes")
    op.drop_table("lesson_turns")
    op.drop_table("lesson_decks")
