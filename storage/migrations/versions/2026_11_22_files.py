"""Files that people hand in."""

import sqlalchemy as sa
from alembic import op

revision = "files"
down_revision = "documents"


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("object_id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("handed_in_by", sa.Uuid(), nullable=False),
        sa.Column("about_kind", sa.Text(), nullable=False),
        sa.Column("about_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_name", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("preview_size", sa.BigInteger(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lost_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("size > 0 AND received > 0", name=op.f("ck_files_sizes")),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["persons.id"], name=op.f("fk_files_owner_id_persons")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_files_organisation_id_organisations"),
        ),
        sa.ForeignKeyConstraint(
            ["handed_in_by"], ["persons.id"], name=op.f("fk_files_handed_in_by_persons")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_files")),
        sa.UniqueConstraint("object_id", name=op.f("uq_files_object_id")),
    )
    for column in ("about_id", "handed_in_by", "organisation_id", "owner_id"):
        op.create_index(op.f(f"ix_files_{column}"), "files", [column])


def downgrade() -> None:
    op.drop_table("files")
