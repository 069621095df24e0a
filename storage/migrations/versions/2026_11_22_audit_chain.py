"""The sealed chain over the audit rows."""

revision = "audit_chain"
down_revision = "imports"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
