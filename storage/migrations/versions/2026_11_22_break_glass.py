"""Emergencies that opened a record."""

revision = "break_glass"
down_revision = "notices"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
