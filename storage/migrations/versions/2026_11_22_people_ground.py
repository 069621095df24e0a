"""What the rest of people/ stands on: when a person was born."""

import sqlalchemy as sa
from alembic import op

revision = "people_ground"
down_revision = "lesson_media"


def upgrade() -> None:
    op.add_column("persons", sa.Column("born_on", sa.Date(), nullable=True))


def downgrade() -> None:
    op.drop_column("persons", "born_on")
