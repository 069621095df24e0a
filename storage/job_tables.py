"""The tables of the job library, made by its own SQL, version by version.

Its numbered files are append-only. A migration of ours names the versions it takes, so that it
makes the same tables forever, whatever version of the library is installed.
"""

from pathlib import Path

import sqlalchemy as sa
from procrastinate.schema import SchemaManager

# Everything of the library's carries its name.
_DROP = """
DO $$
DECLARE
    name text;
BEGIN
    FOR name IN
        SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', oid::regprocedure) FROM pg_proc
        WHERE pronamespace = current_schema()::regnamespace
            AND proname LIKE 'procrastinate\\_%'
        UNION ALL
        SELECT format('DROP TABLE IF EXISTS %s CASCADE', oid::regclass) FROM pg_class
        WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace
            AND relname LIKE 'procrastinate\\_%'
        UNION ALL
        SELECT format('DROP TYPE IF EXISTS %s CASCADE', oid::regtype) FROM pg_type
        WHERE typtype IN ('e', 'c') AND typnamespace = current_schema()::regnamespace
            AND typname LIKE 'procrastinate\\_%' AND typname <> ALL (
                SELECT relname FROM pg_class WHERE relkind = 'r')
    LOOP
        EXECUTE name;
    END LOOP;
END $$
"""


def create_job_tables(connection: sa.Connection, *, after: str = "", through: str) -> None:
    """Run the library's files of the versions after `after` (none: from the first) to `through`."""
    for path in sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql")):
        version = _parts(path.name.partition("_")[0])
        if _parts(after) < version <= _parts(through):
            _run(connection, path.read_text(encoding="utf-8"))


def drop_job_tables(connection: sa.Connection) -> None:
    """Drop every table, function and type of the library, and the jobs with them."""
    _run(connection, _DROP)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part)


def _run(connection: sa.Connection, sql: str) -> None:
    # Past SQLAlchemy: several statements at once, whose percent signs mean themselves.
    driver = connection.connection.driver_connection
    if driver is None:
        raise RuntimeError("the connection is closed")
    driver.execute(sql)
