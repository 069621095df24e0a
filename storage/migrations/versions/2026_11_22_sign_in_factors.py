"""Second factors, recovery codes, step-up."""

revision = "sign_in_factors"
down_revision = "people_ground"


def upgrade() -> None:
    """Nothing yet."""


def downgrade() -> None:
    """Nothing yet."""
