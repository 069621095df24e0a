"""The point of time that a backup brings back, and what the tables held at it.

For a moment (half a second at the most, then it lets go and tries again) nobody writes: a restore
point goes into the write-ahead log and a snapshot is taken that sees exactly what was committed
before it. Rows are counted and hashed from the snapshot afterwards, while everybody works.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime

import msgspec
import psycopg
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable, QueryCanceled, UndefinedTable

_TRIES = 20
_ALIKE = """
    SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'iso_8601';
    SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'
"""
_TABLES = """
    SELECT relname FROM pg_class
    WHERE relkind = 'r' AND relpersistence = 'p' AND relnamespace = 'public'::regnamespace
    ORDER BY relname
"""

Connection = psycopg.Connection[tuple[object, ...]]


class Fingerprint(msgspec.Struct, frozen=True):
    """Rows of a table, and the sum of their hashes: the same whatever order they lie in."""

    rows: int
    hash: str


class Point(msgspec.Struct, frozen=True):
    """A restore point. `tables` is None where nobody could be held back, so nothing was counted."""

    lsn: str
    at: datetime
    tables: dict[str, Fingerprint] | None


@contextlib.contextmanager
def wal_kept(url: str) -> Iterator[tuple[Connection, str]]:
    """Keep the write-ahead log from here on while the block runs; gives where it begins.

    The slot is temporary: it ends with the connection, also when we are killed.
    """
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CHECKPOINT")
        row = db.execute(
            "SELECT lsn::text FROM pg_create_physical_replication_slot("
            "'yanasha_backup_' || pg_backend_pid(), true, true)"
        ).fetchone()
        yield db, str(row[0]) if row else ""


def fix_point(url: str, name: str) -> Point:
    """Set a restore point of this name and fingerprint what it brings back."""
    with psycopg.connect(url) as writer, psycopg.connect(url) as reader:
        held = _hold(writer)
        if held:
            writer.execute("SET LOCAL statement_timeout = 0")
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            reader.execute("SELECT 1")  # the first statement takes the snapshot
        row = writer.execute(
            "SELECT pg_create_restore_point(%s)::text, clock_timestamp()", [name]
        ).fetchone()
        writer.rollback()
        if row is None or not isinstance(row[1], datetime):  # never: a function gives one row
            raise RuntimeError("no restore point")
        return Point(str(row[0]), row[1], _fingerprint(reader) if held else None)


def fingerprint(url: str) -> dict[str, Fingerprint]:
    """What every table holds now."""
    with psycopg.connect(url) as db:
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        return _fingerprint(db)


def _hold(db: Connection) -> bool:
    """Have nobody in the middle of writing; False when somebody would not end."""
    for attempt in range(_TRIES):
        try:
            # Ours is the one to give way in a deadlock: it looks first.
            # A limit for the statement: one for locks would begin anew at every table.
            db.execute("SET LOCAL statement_timeout = '500ms'")
            db.execute("SET LOCAL deadlock_timeout = '50ms'")
            if not (found := _names(db)):
                return True
            tables = sql.SQL(", ").join(map(sql.Identifier, found))
            db.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(tables))
            if _names(db) == found:  # else a table was made meanwhile, which is not held
                return True
        except (QueryCanceled, LockNotAvailable, DeadlockDetected, UndefinedTable):
            pass
        db.rollback()
        time.sleep(min(0.05 * 2**attempt, 2.0))  # let those through who waited behind us
    return False


def _names(db: Connection) -> list[str]:
    return [str(row[0]) for row in db.execute(_TABLES)]


def _fingerprint(db: Connection) -> dict[str, Fingerprint]:
    db.execute(_ALIKE)
    found = {}
    for name in _names(db):
        table = sql.Identifier(name)
        row = db.execute(
            sql.SQL(
                "SELECT count(*), coalesce(sum(hashtextextended(whole_row::text, 0)::numeric), 0)"
                "::text FROM {} AS whole_row"
            ).format(table)
        ).fetchone()
        if row is not None:
            found[name] = Fingerprint(int(str(row[0])), str(row[1]))
    return found
