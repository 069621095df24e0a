"""Sensitive acts, and the sealed chain over every audit row.

The tables of the audit only grow from here on, and each row put into them waits for its seal.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "audit_chain"
down_revision = "imports"

_SOURCES = ("audit_acts", "audit_reads", "audit_refusals")
_INDEXES = (
    ("audit_acts", ("subject_id", "organisation_id", "actor_id")),
    ("audit_reads", ("organisation_id", "actor_id")),
    ("audit_refusals", ("organisation_id", "actor_id")),
)


def upgrade() -> None:
    op.create_table(
        "audit_acts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("about_id", sa.Uuid(), nullable=True),
        sa.Column("details", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_acts")),
    )
    for table, columns in _INDEXES:
        for column in columns:
            op.create_index(op.f(f"ix_{table}_{column}_at"), table, [column, "at"], unique=False)
    op.create_table(
        "audit_unsealed",
        sa.Column("number", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_unsealed")),
        postgresql_with={
            "autovacuum_vacuum_scale_factor": 0,
            "autovacuum_vacuum_threshold": 1000,
        },
    )
    op.create_table(
        "audit_seals",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_audit_seals")),
    )
    op.create_index(op.f("ix_audit_seals_row_id"), "audit_seals", ["row_id"], unique=False)
    op.execute("""
        CREATE FUNCTION audit_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% only grows', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END $$
    """)
    op.execute("""
        CREATE FUNCTION audit_queue_row() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO audit_unsealed (source, row_id) VALUES (TG_TABLE_NAME, NEW.id);
            RETURN NULL;
        END $$
    """)
    # What was written before is sealed as it is now.
    op.execute("""
        INSERT INTO audit_unsealed (source, row_id)
        SELECT source, id FROM (
            SELECT 'audit_reads' AS source, id, at FROM audit_reads
            UNION ALL SELECT 'audit_refusals', id, at FROM audit_refusals
        ) AS written ORDER BY at, id
    """)
    for table in (*_SOURCES, "audit_seals"):
        op.execute(f"""
            CREATE TRIGGER only_grows BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION audit_only_grows()
        """)
    for table in _SOURCES:
        op.execute(f"""
            CREATE TRIGGER queued AFTER INSERT ON {table}
            FOR EACH ROW EXECUTE FUNCTION audit_queue_row()
        """)


def downgrade() -> None:
    for table in _SOURCES:
        op.execute(f"DROP TRIGGER queued ON {table}")
    for table in (*_SOURCES, "audit_seals"):
        op.execute(f"DROP TRIGGER only_grows ON {table}")
    op.execute("DROP FUNCTION audit_queue_row()")
    op.execute("DROP FUNCTION audit_only_grows()")
    op.drop_index(op.f("ix_audit_seals_row_id"), table_name="audit_seals")
    op.drop_table("audit_seals")
    op.drop_table("audit_unsealed")
    for table, columns in reversed(_INDEXES):
        for column in columns:
            op.drop_index(op.f(f"ix_{table}_{column}_at"), table_name=table)
    op.drop_table("audit_acts")
