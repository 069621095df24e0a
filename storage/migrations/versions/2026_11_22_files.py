"""Files that people hand in."""

revision = "files"
down_revision = "documents"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
