"""Readings by month, and what an hour and a day of them came to."""

revision = "rollups"
down_revision = "files"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
