"""Documents: the register in pages, and since when a signing key may be somebody else's."""

import sqlalchemy as sa
from alembic import op

revision = "documents_more"
down_revision = "rollups"


def upgrade() -> None:
    op.add_column(
        "organisation_keys",
        sa.Column("compromised_since", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index(
        "ix_documents_register",
        "documents",
        ["organisation_id", "signed_at", "id"],
        unique=False,
        postgresql_where=sa.text("signed_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_documents_register", table_name="documents")
    op.drop_column("organisation_keys", "compromised_since")
