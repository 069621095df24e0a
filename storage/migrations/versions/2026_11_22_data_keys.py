"""Keys of persons, under which what is sealed about them lies."""

revision = "data_keys"
down_revision = "break_glass"


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
