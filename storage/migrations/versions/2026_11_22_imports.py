"""Imports of people."""

import sqlalchemy as sa
from alembic import op

revision = "imports"
down_revision = "households"


def upgrade() -> None:
    """Who belongs to an organisation by its own list; accounts that are closed."""
    op.create_table(
        "roster_entries",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("source_id", sa.Text(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("organisation_id", "person_id", name="pk_roster_entries"),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name="fk_roster_entries_organisation_id_organisations",
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name="fk_roster_entries_person_id_persons"
        ),
    )
    op.create_index("ix_roster_entries_person_id", "roster_entries", ["person_id"])
    op.create_index(
        "ix_roster_entries_organisation_id_source_id",
        "roster_entries",
        ["organisation_id", "source_id"],
        unique=True,
    )
    op.create_table(
        "closed_accounts",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_closed_accounts"),
        sa.ForeignKeyConstraint(
            ["person_id"], ["persons.id"], name="fk_closed_accounts_person_id_persons"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name="fk_closed_accounts_organisation_id_organisations",
        ),
    )


def downgrade() -> None:
    """Without lists nobody belongs anywhere but by rights."""
    op.drop_table("closed_accounts")
    op.drop_table("roster_entries")
