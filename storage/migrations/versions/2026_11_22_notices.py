"""Notices, their ways, deadlines."""

revision = "notices"
down_revision = "consents"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
