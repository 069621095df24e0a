"""Documents: drafts, signed versions, numbers, deliveries."""

revision = "documents"
down_revision = "erasure"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
