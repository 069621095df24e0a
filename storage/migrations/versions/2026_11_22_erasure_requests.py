"""Requests to erase a person of whom other organisations keep something, and their answers."""

import sqlalchemy as sa
from alembic import op

revision = "erasure_requests"
down_revision = "documents_more"


def upgrade() -> None:
    op.create_table(
        "erasure_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended", sa.Text(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "ended IN ('done', 'refused', 'withdrawn')", name=op.f("ck_erasure_requests_ended")
        ),
        sa.CheckConstraint(
            "(ended IS NULL) = (ended_at IS NULL)", name=op.f("ck_erasure_requests_ended_when")
        ),
        sa.ForeignKeyConstraint(
            ["asked_by"], ["persons.id"], name=op.f("fk_erasure_requests_asked_by_persons")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_erasure_requests_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_erasure_requests_person_id_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasure_requests")),
    )
    op.create_index(
        op.f("ix_erasure_requests_organisation_id_asked_at"),
        "erasure_requests",
        ["organisation_id", "asked_at"],
    )
    op.create_index(op.f("ix_erasure_requests_person_id"), "erasure_requests", ["person_id"])
    op.create_index(
        "ix_erasure_requests_open",
        "erasure_requests",
        ["until"],
        postgresql_where=sa.text("ended IS NULL"),
    )
    op.create_table(
        "erasure_answers",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "answer IN ('agreed', 'refused')", name=op.f("ck_erasure_answers_answer")
        ),
        sa.CheckConstraint(
            "(answer = 'refused') = (why IS NOT NULL)", name=op.f("ck_erasure_answers_why")
        ),
        sa.ForeignKeyConstraint(
            ["answered_by"], ["persons.id"], name=op.f("fk_erasure_answers_answered_by_persons")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_erasure_answers_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["request_id"],
            ["erasure_requests.id"],
            name=op.f("fk_erasure_answers_request_id_erasure_requests"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("request_id", "organisation_id", name=op.f("pk_erasure_answers")),
    )
    op.create_index(
        op.f("ix_erasure_answers_organisation_id"), "erasure_answers", ["organisation_id"]
    )


def downgrade() -> None:
    op.drop_table("erasure_answers")
    op.drop_table("erasure_requests")
