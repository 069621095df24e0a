"""Second factors, recovery codes, step-up, the first administrator."""

import sqlalchemy as sa
from alembic import op

revision = "sign_in_factors"
down_revision = "people_ground"

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("sessions", sa.Column("method", sa.Text(), server_default="password", nullable=False))
    op.add_column("sessions", sa.Column("opened_by", sa.Uuid(), nullable=True))
    op.add_column("sessions", sa.Column("proved_at", TIME, nullable=True))
    op.execute("UPDATE sessions SET proved_at = signed_in_at")
    op.alter_column("sessions", "proved_at", nullable=False)
    op.add_column("sessions", sa.Column("enrolling", sa.Boolean(), server_default="false", nullable=False))
    op.create_index(op.f("ix_sessions_opened_by"), "sessions", ["opened_by"], unique=False)
    op.create_table(
        "second_steps",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("opened_by", sa.Uuid(), nullable=True),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_second_steps_person_id_persons")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_second_steps")),
    )
    op.create_index(op.f("ix_second_steps_person_id"), "second_steps", ["person_id"], unique=False)
    op.create_table(
        "totp_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("confirmed_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_totp_secrets_person_id_persons")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_totp_secrets")),
        sa.UniqueConstraint("person_id", name=op.f("uq_totp_secrets_person_id")),
    )
    op.create_table(
        "totp_used",
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_totp_used_person_id_persons")),
        sa.PrimaryKeyConstraint("person_id", "step", name=op.f("pk_totp_used")),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("made_at", TIME, nullable=False),
        sa.Column("used_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_passkeys_person_id_persons")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index(op.f("ix_passkeys_person_id"), "passkeys", ["person_id"], unique=False)
    op.create_table(
        "passkey_challenges",
        sa.Column("challenge", sa.LargeBinary(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_passkey_challenges_person_id_persons")),
        sa.PrimaryKeyConstraint("challenge", name=op.f("pk_passkey_challenges")),
    )
    op.create_index(op.f("ix_passkey_challenges_expires_at"), "passkey_challenges", ["expires_at"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["persons.id"], name=op.f("fk_recovery_codes_person_id_persons")),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_recovery_codes")),
    )
    op.create_index(op.f("ix_recovery_codes_person_id"), "recovery_codes", ["person_id"], unique=False)
    op.create_table(
        "first_codes",
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_first_codes")),
    )


def downgrade() -> None:
    for table in (
        "first_codes",
        "recovery_codes",
        "passkey_challenges",
        "passkeys",
        "totp_used",
        "totp_secrets",
        "second_steps",
    ):
        op.drop_table(table)
    op.drop_index(op.f("ix_sessions_opened_by"), table_name="sessions")
    for column in ("enrolling", "proved_at", "opened_by", "method"):
        op.drop_column("sessions", column)
