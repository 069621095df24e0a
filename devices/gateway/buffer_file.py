"""The buffer's file: its tables, how it is opened, and times as they stand in it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

_VERSION = 1
_SCHEMA = """
CREATE TABLE devices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    address TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    zone TEXT NOT NULL,
    user INTEGER,
    server TEXT NOT NULL,
    token TEXT NOT NULL,
    added_at TEXT NOT NULL,
    heard_at TEXT,
    trouble TEXT NOT NULL DEFAULT '',
    refused_by_server TEXT NOT NULL DEFAULT '',
    stored_before INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    characteristic INTEGER NOT NULL,
    data BLOB NOT NULL,
    read BLOB NOT NULL,
    received_at TEXT NOT NULL,
    doubt TEXT
) STRICT;
CREATE INDEX messages_doubt ON messages (device_id, doubt, id);
CREATE TABLE readings (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    body BLOB NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('here', 'sent', 'stored', 'refused')),
    problem TEXT NOT NULL DEFAULT '',
    changed_at TEXT NOT NULL,
    UNIQUE (device_id, sequence)
) STRICT;
CREATE INDEX readings_state ON readings (device_id, state, id);
CREATE TABLE progress (
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    download TEXT NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (device_id, download)
) STRICT, WITHOUT ROWID;
CREATE TABLE moments (
    device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    at REAL NOT NULL,
    shown TEXT NOT NULL,
    PRIMARY KEY (device_id, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE room (id INTEGER PRIMARY KEY CHECK (id = 1), filler BLOB NOT NULL) STRICT;
"""


class BadBuffer(Exception):  # noqa: N818 - a fact
    """The file is damaged, or of a newer gateway."""


def prepare(db: sqlite3.Connection) -> None:
    """Make what is missing, for good on every commit. Raises BadBuffer, sqlite3.DatabaseError."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    # Tokens that are forgotten and other people's values do not stay behind in free pages.
    db.execute("PRAGMA secure_delete = ON")
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise BadBuffer("the buffer was written by a newer gateway")
    if version == 0:
        db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
    (sound,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if sound != "ok":
        raise BadBuffer(f"the buffer is damaged: {sound}")


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """Hold the folder for one running gateway; the system lets go when the program ends."""
    lock = sqlite3.connect(home / "running.sqlite", timeout=0, isolation_level=None)
    with closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise BadBuffer(f"a gateway is running in {home} already") from error
        yield


def text(moment: datetime) -> str:
    """Sorts as time does."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_of(written: str) -> datetime:
    """The time behind what `text` wrote."""
    return datetime.strptime(written, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
