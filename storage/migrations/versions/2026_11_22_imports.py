"""Imports of people."""

revision = "imports"
down_revision = "households"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
