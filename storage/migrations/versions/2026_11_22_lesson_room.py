"""The lesson's room: when it was opened and ended, hands, the floor, the chat; refused acts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "lesson_room"
down_revision = "first"


def upgrade() -> None:
    op.create_table(
        "audit_refusals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("about_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("route", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_refusals")),
    )
    op.create_index(
        op.f("ix_audit_refusals_about_id_at"), "audit_refusals", ["about_id", "at"], unique=False
    )
    op.add_column("lessons", sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("lessons", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "lessons", sa.Column("chat_held", sa.Boolean(), server_default="true", nullable=False)
    )
    op.create_check_constraint(
        op.f("ck_lessons_ended_after_opening"),
        "lessons",
        "ended_at IS NULL OR opened_at IS NOT NULL",
    )
    op.create_table(
        "lesson_hands",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lowered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_hands_lesson_id_lessons")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_lesson_hands_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_hands")),
    )
    op.create_index(
        "ux_lesson_hands_raised",
        "lesson_hands",
        ["lesson_id", "person_id"],
        unique=True,
        postgresql_where=sa.text("lowered_at IS NULL"),
    )
    op.create_table(
        "lesson_floors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("kinds", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.CheckConstraint("(until IS NULL) = (why IS NULL)", name=op.f("ck_lesson_floors_over")),
        sa.CheckConstraint("cardinality(kinds) > 0", name=op.f("ck_lesson_floors_kinds")),
        sa.CheckConstraint(
            "why IN ('withdrawn', 'returned', 'dropped', 'replaced', 'ended')",
            name=op.f("ck_lesson_floors_why"),
        ),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_floors_lesson_id_lessons")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_lesson_floors_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_floors")),
    )
    op.create_index(
        "ux_lesson_floors_open",
        "lesson_floors",
        ["lesson_id"],
        unique=True,
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "lesson_messages",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('held', 'approved', 'refused')", name=op.f("ck_lesson_messages_state")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["persons.id"], name=op.f("fk_lesson_messages_decided_by_persons")
        ),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_messages_lesson_id_lessons")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_lesson_messages_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_messages")),
    )
    op.create_index(
        op.f("ix_lesson_messages_lesson_id_person_id_client_id"),
        "lesson_messages",
        ["lesson_id", "person_id", "client_id"],
        unique=True,
    )
    op.create_index(
        op.f("ix_lesson_messages_lesson_id_sent_at"),
        "lesson_messages",
        ["lesson_id", "sent_at"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_table("lesson_messages")
    op.drop_table("lesson_floors")
    op.drop_table("lesson_hands")
    op.drop_constraint(op.f("ck_lessons_ended_after_opening"), "lessons", type_="check")
    op.drop_column("lessons", "chat_held")
    op.drop_column("lessons", "ended_at")
    op.drop_column("lessons", "opened_at")
    op.drop_table("audit_refusals")
