"""Consent texts, consents, codes shown as QR."""

revision = "consents"
down_revision = "audit_chain"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
