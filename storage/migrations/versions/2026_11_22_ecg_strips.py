"""Strips of ECG that doctors attach to the record.

They go with their visit whoever deletes it: the version before knows nothing of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "ecg_strips"
down_revision = "file_digests"


def upgrade() -> None:
    op.create_table(
        "ecg_strips",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("visit_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("stream", sa.Uuid(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_pdf", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["visit_id"],
            ["visits.id"],
            name=op.f("fk_ecg_strips_visit_id_visits"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name=op.f("fk_ecg_strips_person_id_persons")
        ),
        sa.ForeignKeyConstraint(
            ["made_by"], ["persons.id"], name=op.f("fk_ecg_strips_made_by_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ecg_strips")),
    )
    op.create_index(op.f("ix_ecg_strips_visit_id"), "ecg_strips", ["visit_id"])
    op.create_index(op.f("ix_ecg_strips_person_id"), "ecg_strips", ["person_id"])


def downgrade() -> None:
    op.drop_table("ecg_strips")
