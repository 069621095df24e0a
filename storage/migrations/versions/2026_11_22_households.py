"""Guardianships with their limits and a teen's shares; acting for a person at the desk."""

import sqlalchemy as sa
from alembic import op

revision = "households"
down_revision = "cards"


def upgrade() -> None:
    op.create_table(
        "guardianships",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("guardian_id", sa.Uuid(), nullable=False),
        sa.Column("child_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("confirmed_by_id", sa.Uuid(), nullable=True),
        sa.Column("health", sa.Boolean(), nullable=False),
        sa.Column("school", sa.Boolean(), nullable=False),
        sa.Column("live_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("guardian_id <> child_id", name=op.f("ck_guardianships_two_people")),
        sa.CheckConstraint(
            "(confirmed_at IS NULL) = (confirmed_by_id IS NULL)",
            name=op.f("ck_guardianships_confirmed"),
        ),
        sa.CheckConstraint(
            "live_at IS NULL OR confirmed_at IS NOT NULL", name=op.f("ck_guardianships_live")
        ),
        *(
            sa.ForeignKeyConstraint(
                [column], ["persons.id"], name=op.f(f"fk_guardianships_{column}_persons")
            )
            for column in ("guardian_id", "child_id", "confirmed_by_id", "ended_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guardianships")),
    )
    op.create_index(
        "ux_guardianships_pair",
        "guardianships",
        ["guardian_id", "child_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        op.f("ix_guardianships_child_id"), "guardianships", ["child_id"], unique=False
    )
    op.create_table(
        "guardian_limits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("guardianship_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paper", sa.Text(), nullable=False),
        sa.Column("set_by_id", sa.Uuid(), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("scope IN ('health', 'school')", name=op.f("ck_guardian_limits_scope")),
        sa.CheckConstraint(
            "until IS NULL OR until > since", name=op.f("ck_guardian_limits_times")
        ),
        sa.ForeignKeyConstraint(
            ["guardianship_id"],
            ["guardianships.id"],
            name=op.f("fk_guardian_limits_guardianship_id_guardianships"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_guardian_limits_organisation_id_organisations"),
        ),
        *(
            sa.ForeignKeyConstraint(
                [column], ["persons.id"], name=op.f(f"fk_guardian_limits_{column}_persons")
            )
            for column in ("set_by_id", "lifted_by_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guardian_limits")),
    )
    op.create_index(
        op.f("ix_guardian_limits_guardianship_id"),
        "guardian_limits",
        ["guardianship_id"],
        unique=False,
    )
    op.create_table(
        "health_shares",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("guardianship_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["guardianship_id"],
            ["guardianships.id"],
            name=op.f("fk_health_shares_guardianship_id_guardianships"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_health_shares")),
    )
    op.create_index(
        op.f("ix_health_shares_guardianship_id"), "health_shares", ["guardianship_id"], unique=False
    )
    op.create_table(
        "assistances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("helper_id", sa.Uuid(), nullable=False),
        sa.Column("person_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("helper_id <> person_id", name=op.f("ck_assistances_two_people")),
        *(
            sa.ForeignKeyConstraint(
                [column], ["persons.id"], name=op.f(f"fk_assistances_{column}_persons")
            )
            for column in ("helper_id", "person_id", "ended_by_id")
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["organisations.id"],
            name=op.f("fk_assistances_organisation_id_organisations"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assistances")),
    )
    op.create_index(
        op.f("ix_assistances_helper_id_until"), "assistances", ["helper_id", "until"], unique=False
    )
    op.create_index(
        op.f("ix_assistances_person_id_until"), "assistances", ["person_id", "until"], unique=False
    )


def downgrade() -> None:
    op.drop_table("assistances")
    op.drop_table("health_shares")
    op.drop_table("guardian_limits")
    op.drop_table("guardianships")
