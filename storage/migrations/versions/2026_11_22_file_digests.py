"""What each file of a visit was when it was handed in: a sealed digest of its plain bytes.

Rows of before have none, and the version before writes none: both are read without it.
"""

import sqlalchemy as sa
from alembic import op

revision = "file_digests"
down_revision = "erasure_requests"


def upgrade() -> None:
    op.add_column("files", sa.Column("sealed_digest", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("files", "sealed_digest")
