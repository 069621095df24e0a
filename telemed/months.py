"""Tables of readings by month: made ahead by a job, or by the first reading that needs one."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from storage.jobs import Work, job

# A month's table is there before anybody measures in it, also when the runner is off for weeks.
AHEAD: Final = 2
# Rows that one transaction moves: a second or two, and nobody waits for it.
MOVED_AT_ONCE: Final = 10_000

# Any number will do; two that make the same table wait for each other by it.
_LOCK = text("SELECT pg_advisory_xact_lock(7106385013)")
_THERE = text("""
    SELECT relname FROM pg_class
    WHERE relname = ANY(CAST(:names AS text[]))
        AND relnamespace = CAST(current_schema() AS regnamespace)
""")
# The key is also the way to a person's readings of a time.
_MAKE = """
    CREATE TABLE IF NOT EXISTS month_ (
        CONSTRAINT pk_month_ PRIMARY KEY (person_id, taken_at, id),
        CONSTRAINT ck_month__month CHECK (taken_at >= 'since_' AND taken_at < 'until_')
    ) INHERITS (readings)
"""
_MOVE = """
    WITH gone AS (
        DELETE FROM ONLY readings WHERE id IN (
            SELECT id FROM ONLY readings
            WHERE taken_at >= 'since_' AND taken_at < 'until_'
            LIMIT :at_most FOR UPDATE SKIP LOCKED
        ) RETURNING *
    ), keys AS (
        INSERT INTO reading_keys (device_id, sequence, taken_at)
        SELECT device_id, sequence, taken_at FROM gone ORDER BY device_id, sequence
        ON CONFLICT DO NOTHING
    ), stored AS (
        INSERT INTO month_ SELECT * FROM gone
        RETURNING person_id, kind, taken_at, "values", flags
    )
"""
# What a reading tells, by name. One beyond the scale (devices/measurement.py) tells that, and no
# number: hours and days count it under the word.
TOLD: Final = """
    CASE WHEN "values" <> '{}' THEN "values"
         WHEN 'above_scale' = ANY(flags) THEN '{"above_scale": "NaN"}'::jsonb
         WHEN 'below_scale' = ANY(flags) THEN '{"below_scale": "NaN"}'::jsonb
         ELSE '{}' END
"""
# Follows a statement whose part `stored` gives what was written into a month just now.
_ROLL_UP: Final = """
    , amounts AS (
        SELECT person_id, kind, name, taken_at, CAST(amount AS numeric) AS amount
        FROM stored, jsonb_each_text(told_) AS one (name, amount)
    ), hours AS (
        INSERT INTO reading_hours AS there (person_id, kind, name, since, n, low, high, total)
        SELECT person_id, kind, name, date_trunc('hour', taken_at, 'UTC'),
               count(*), min(amount), max(amount), sum(amount)
        FROM amounts GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (person_id, kind, name, since) DO UPDATE
        SET n = there.n + excluded.n, low = least(there.low, excluded.low),
            high = greatest(there.high, excluded.high), total = there.total + excluded.total
    ), days AS (
        INSERT INTO reading_days AS there (person_id, kind, name, since, n, low, high, total)
        SELECT person_id, kind, name, date_trunc('day', taken_at, 'UTC'),
               count(*), min(amount), max(amount), sum(amount)
        FROM amounts GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        ON CONFLICT (person_id, kind, name, since) DO UPDATE
        SET n = there.n + excluded.n, low = least(there.low, excluded.low),
            high = greatest(there.high, excluded.high), total = there.total + excluded.total
    )
""".replace("told_", TOLD)


class Month(msgspec.Struct, frozen=True, order=True):
    """A month of UTC."""

    year: int
    month: int

    @property
    def table(self) -> str:
        """Name of its table."""
        return f"readings_{self.year:04}_{self.month:02}"

    @property
    def first(self) -> date:
        """Its first day."""
        return date(self.year, self.month, 1)

    def next(self) -> "Month":
        """The month after it."""
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def named(self, statement: str) -> str:
        """The statement with this month's table and limits in place of month_, since_, until_."""
        since, until = self.first.isoformat(), self.next().first.isoformat()
        return (
            statement.replace("month_", self.table)
            .replace("since_", f"{since} 00:00:00+00")
            .replace("until_", f"{until} 00:00:00+00")
        )


def month_of(at: datetime) -> Month:
    """The month of UTC that a time lies in."""
    utc = at.astimezone(UTC)
    return Month(utc.year, utc.month)


def filling(month: Month, store: str, answer: str) -> str:
    """A statement that stores in a month by its part `stored`, and adds that to hours and days."""
    return "".join((month.named(store), _ROLL_UP, answer))


async def make_months(db: AsyncSession, months: Iterable[Month]) -> None:
    """Make the tables that are not there; seen by others from the commit on.

    Asked for again in every transaction, not remembered: it may have been rolled back.
    """
    wanted = {month.table: month for month in months}
    there = set((await db.scalars(_THERE, {"names": list(wanted)})).all())
    missing = sorted(month for name, month in wanted.items() if name not in there)
    if not missing:
        return
    await db.execute(_LOCK)
    for month in missing:
        await db.execute(text(month.named(_MAKE)))


@job("telemed.months", cron="25 9 * * *")
async def months_ahead(work: Work) -> None:
    """Make the table of this month and of those that come."""
    months = [month_of(work.now)]
    for _ in range(AHEAD):
        months.append(months[-1].next())
    await make_months(work.db, months)


@job("telemed.move_readings", cron="* * * * *")
async def move_some(work: Work) -> None:
    """Move some of what a version before the months wrote; nothing is left after a while."""
    await move_readings(work.db)


async def move_readings(db: AsyncSession, at_most: int = MOVED_AT_ONCE) -> int:
    """Move readings of one month from the one table into the month's; give how many.

    With their keys and what they add to hours and days, in the caller's transaction: whoever reads
    sees each once, here or there.
    """
    some = text("SELECT taken_at FROM ONLY readings LIMIT 1")
    one: Sequence[Any] = (await db.scalars(some, execution_options=audit.WRITE_PATH)).all()
    if not one:
        return 0
    month = month_of(one[0])
    await make_months(db, [month])
    move = text(filling(month, _MOVE, "SELECT count(*) FROM stored"))
    moved: int = (
        await db.execute(move, {"at_most": at_most}, execution_options=audit.WRITE_PATH)
    ).scalar_one()
    return moved
