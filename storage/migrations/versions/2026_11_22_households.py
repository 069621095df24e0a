"""Households, guardians and their limits."""

revision = "households"
down_revision = "cards"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
