"""Where readings lie: months, their keys, and what each hour and day of them came to.

A month's readings lie in a table of that month, which inherits from `readings` and is made by
telemed/months.py. A query over `readings` sees them all. What lies in `readings` itself is what a
version before the months wrote; a job moves it, some at a time.

Inherited and not declared (PARTITION BY): a month is added without keeping anybody out, what
stands need not be rewritten before the program can start, and statements of the version before
(ON CONFLICT (device_id, sequence), which a declared partition cannot have) go on to work.

A device's number is used once, in whichever month: `reading_keys` says so, one narrow row a
reading. The trigger writes it for the version before.

An hour and a day hold exactly what lies in months, kept in the transaction of the readings. Amounts
are numeric: their sum is the same in whatever order they came.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, ForeignKey, Index, text
from sqlalchemy.event import listen
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from storage.engine import Base, new_id


@audit.health_table
class Readings(Base):
    """One reading: canonical values for charts and rules, sent values for the eye."""

    __tablename__ = "readings"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    device_id: Mapped[UUID] = mapped_column(ForeignKey("devices.id"))
    sequence: Mapped[int]
    kind: Mapped[str]
    taken_at: Mapped[datetime]
    received_at: Mapped[datetime]
    values: Mapped[dict[str, float]]
    unit: Mapped[str]
    sent_values: Mapped[dict[str, float]]
    sent_unit: Mapped[str]
    flags: Mapped[list[str]]
    # Digest of what was sent: tells a repeat from another reading under a used number.
    content: Mapped[bytes]

    __table_args__ = (
        Index(None, "device_id", "sequence", unique=True),
        Index(None, "person_id", "taken_at"),
    )


@audit.health_table
class ReadingKeys(Base):
    """A number that a device has used, and the time of its reading, which says the month."""

    __tablename__ = "reading_keys"

    device_id: Mapped[UUID] = mapped_column(ForeignKey("devices.id"), primary_key=True)
    sequence: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    taken_at: Mapped[datetime]


@audit.health_table
class ReadingHours(Base):
    """What one value of a person came to in an hour (UTC) from `since`."""

    __tablename__ = "reading_hours"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    n: Mapped[int]
    low: Mapped[Decimal]
    high: Mapped[Decimal]
    total: Mapped[Decimal]


@audit.health_table
class ReadingDays(Base):
    """As an hour, for a day of UTC."""

    __tablename__ = "reading_days"

    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(primary_key=True)
    n: Mapped[int]
    low: Mapped[Decimal]
    high: Mapped[Decimal]
    total: Mapped[Decimal]


# A number of this very table is left to its unique index; one of a month is none to insert.
_KEEP_KEY: Final = (
    """
    CREATE OR REPLACE FUNCTION readings_keep_key() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM ONLY readings AS there
                   WHERE there.device_id = NEW.device_id AND there.sequence = NEW.sequence) THEN
            RETURN NEW;
        END IF;
        INSERT INTO reading_keys (device_id, sequence, taken_at)
        VALUES (NEW.device_id, NEW.sequence, NEW.taken_at) ON CONFLICT DO NOTHING;
        IF FOUND THEN
            RETURN NEW;
        END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER keep_key BEFORE INSERT ON readings
    FOR EACH ROW EXECUTE FUNCTION readings_keep_key()
    """,
)


def _with_trigger(_table: object, connection: Connection, **_: Any) -> None:
    for statement in _KEEP_KEY:
        connection.execute(text(statement), execution_options=audit.WRITE_PATH)


listen(Readings.metadata.tables[Readings.__tablename__], "after_create", _with_trigger)
