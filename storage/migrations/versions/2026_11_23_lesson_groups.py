"""Groups of a class for some minutes; the version before knows nothing of them."""

import sqlalchemy as sa
from alembic import op

revision = "lesson_groups"
down_revision = "call_minutes"


def upgrade() -> None:
    op.create_table(
        "lesson_groupings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lesson_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("groups", sa.BigInteger(), nullable=False),
        sa.Column("visited", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("why", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "why IN ('called_back', 'passed', 'ended')", name=op.f("ck_lesson_groupings_why")
        ),
        sa.CheckConstraint(
            "(until IS NULL) = (why IS NULL)", name=op.f("ck_lesson_groupings_over")
        ),
        sa.CheckConstraint("ends_at > since", name=op.f("ck_lesson_groupings_times")),
        sa.ForeignKeyConstraint(
            ["lesson_id"], ["lessons.id"], name=op.f("fk_lesson_groupings_lesson_id_lessons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesson_groupings")),
    )
    op.create_index(
        "ux_lesson_groupings_open",
        "lesson_groupings",
        ["lesson_id"],
        unique=True,
        postgresql_where=sa.text("until IS NULL"),
    )
    op.create_table(
        "lesson_group_seats",
        sa.Column("grouping_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["grouping_id"],
            ["lesson_groupings.id"],
            name=op.f("fk_lesson_group_seats_grouping_id_lesson_groupings"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_lesson_group_seats_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("grouping_id", "person_id", name=op.f("pk_lesson_group_seats")),
    )


def downgrade() -> None:
    op.drop_table("lesson_group_seats")
    op.drop_table("lesson_groupings")
