"""QR cards, one-time links, identities of outside providers."""

revision = "cards"
down_revision = "sign_in_factors"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
