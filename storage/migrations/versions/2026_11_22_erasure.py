"""Erased persons, holds, retention."""

revision = "erasure"
down_revision = "data_keys"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
