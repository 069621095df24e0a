"""Charts: what was measured in a time, as so many bands as a screen has room for.

A band tells how many values it stands for, the lowest, the highest and the mean. No extreme is
lost, however wide the time: a spike of one reading is the highest of its band. Wide times are taken
from hours or days kept beside the readings, so that a year costs what a day does.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from math import ceil
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Numeric, Select, cast, func, literal, literal_column, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from devices.measurement import BEYOND, KINDS, DeviceFlag, Kind
from people import audit
from people.policy import Act, Actor
from telemed.months import TOLD
from telemed.reading_tables import ReadingDays, ReadingHours, Readings
from telemed.record import RecordField, opened
from telemed.visits import measured, thing, window

BANDS: Final = 500  # of a screen as usual
MOST_BANDS: Final = 2000
# Up to here the readings themselves are looked at: hours would be too coarse.
RAW_UP_TO: Final = timedelta(hours=48)
LONGEST: Final = timedelta(days=3660)
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2300, 1, 1, tzinfo=UTC)


class Level(StrEnum):
    """What the bands were made of."""

    READINGS = "readings"
    HOURS = "hours"
    DAYS = "days"


class Beyond(StrEnum):
    """What a device said in place of a number."""

    ABOVE = DeviceFlag.ABOVE_SCALE.value
    BELOW = DeviceFlag.BELOW_SCALE.value


class Band(msgspec.Struct, frozen=True):
    """So many values from `at` on, for one step."""

    at: datetime
    n: int
    low: float
    high: float
    mean: float


class Line(msgspec.Struct, frozen=True):
    """One value of the kind; a step without a reading has no band."""

    name: str
    unit: str
    bands: list[Band]


class Mark(msgspec.Struct, frozen=True):
    """So many readings from `at` on, for one step, that lay beyond an end of the device's scale."""

    at: datetime
    word: Beyond
    n: int


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Readings of a kind from `since` on and before `until`."""

    kind: Kind
    level: Level
    since: datetime
    until: datetime
    step_s: float
    lines: list[Line]
    marks: list[Mark]


class Asked(msgspec.Struct, frozen=True):
    """What is to be seen, in at most so many bands."""

    kind: Kind
    since: datetime
    until: datetime
    bands: int = BANDS

    def __post_init__(self) -> None:
        """Keep times in UTC and inside the calendar, so that they can be counted from."""
        for name in ("since", "until"):
            at: datetime = getattr(self, name)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            inside = min(max(at, _FIRST), _LAST).astimezone(UTC)
            msgspec.structs.force_setattr(self, name, inside)


class Grid(msgspec.Struct, frozen=True):
    """Where bands begin: every `step` from `since` on."""

    level: Level
    since: datetime
    until: datetime
    step: timedelta


def grid(asked: Asked, *, exact: bool = False) -> Grid:
    """Choose the coarsest level that fills the bands; `exact` keeps to the very times asked for.

    Hours and days are taken whole, in UTC: their grid begins with the one `since` lies in.
    """
    until = asked.until
    since = max(asked.since, until - LONGEST)
    span = max(until - since, timedelta())
    if exact or span <= RAW_UP_TO:
        step = max(span / asked.bands, timedelta(seconds=1))
        return Grid(Level.READINGS, since, until, step)
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    if span / timedelta(days=1) >= asked.bands:
        level, slot, first = Level.DAYS, timedelta(days=1), midnight
    else:
        level, slot = Level.HOURS, timedelta(hours=1)
        first = midnight + timedelta(hours=since.hour)
    slots = ceil((until - first) / slot)
    return Grid(level, first, first + slots * slot, ceil(slots / asked.bands) * slot)


async def visit_chart(
    db: AsyncSession, actor: Actor, visit_id: UUID, asked: Asked, now: datetime
) -> Chart:
    """Chart of the visit's patient, as far as the time is part of the visit."""
    visit = await measured(db, actor, visit_id, now)
    since, until = window(visit)
    # A window's last moment belongs to it.
    asked = msgspec.structs.replace(
        asked,
        since=max(asked.since, since),
        until=min(asked.until, until + timedelta(microseconds=1)),
    )
    purpose = audit.Purpose(Act.SEE_VISIT_READINGS, thing(visit), now)
    return await _chart(db, actor, visit.patient_id, asked, grid(asked, exact=True), purpose)


async def record_chart(  # noqa: PLR0917 - who, whose, where from, what, when
    db: AsyncSession,
    actor: Actor,
    person_id: UUID,
    organisation_id: UUID | None,
    asked: Asked,
    now: datetime,
) -> Chart:
    """Chart of a person's record, as far as its readings are open. Raises NotFound."""
    purpose = await opened(db, actor, person_id, organisation_id, RecordField.READINGS, now)
    return await _chart(db, actor, person_id, asked, grid(asked), purpose)


async def _chart(  # noqa: PLR0917 - who, whose, what, how, why
    db: AsyncSession,
    actor: Actor,
    person_id: UUID,
    asked: Asked,
    bands: Grid,
    purpose: audit.Purpose,
) -> Chart:
    found: dict[str, list[Band]] = {}
    marks: list[Mark] = []
    rows = await audit.read(db, actor, _bands(person_id, asked.kind, bands), purpose)
    for name, at, n, low, high, total in rows:
        if name in BEYOND:
            marks.append(Mark(at, Beyond(name), int(n)))
            continue
        band = Band(at, int(n), float(low), float(high), float(total / n))
        found.setdefault(name, []).append(band)
    row = KINDS[asked.kind]
    return Chart(
        kind=asked.kind,
        level=bands.level,
        since=bands.since,
        until=bands.until,
        step_s=bands.step.total_seconds(),
        lines=[
            Line(one.name, one.own_unit or row.canonical, found[one.name])
            for one in row.quantities
            if one.name in found
        ],
        marks=marks,
    )


def _bands(
    person_id: UUID, kind: Kind, bands: Grid
) -> Select[str, datetime, Decimal, Decimal, Decimal, Decimal]:
    """Bands of every value of the kind, in order."""
    if bands.level is Level.READINGS:
        parts = _each(person_id, kind, bands).subquery("part")
    else:
        table = ReadingHours if bands.level is Level.HOURS else ReadingDays
        kept = select(
            table.name, table.since.label("at"), table.n, table.low, table.high, table.total
        ).where(
            table.person_id == person_id,
            table.kind == kind.value,
            table.since >= bands.since,
            table.since < bands.until,
        )
        # What lies in no month yet is in no hour and no day.
        loose = _each(person_id, kind, bands).with_hint(Readings, "ONLY", "postgresql")
        parts = union_all(kept, loose).subquery("part")
    part = parts.c
    at = func.date_bin(bands.step, part.at, bands.since).label("at")
    return (
        select(
            part.name,
            at,
            func.sum(part.n),
            func.min(part.low),
            func.max(part.high),
            func.sum(part.total),
        )
        .group_by(part.name, at)
        .order_by(part.name, at)
    )


def _each(person_id: UUID, kind: Kind, bands: Grid) -> Select[Any]:
    """Every value of every reading, as an hour of its own would be."""
    told = func.jsonb_each_text(literal_column(TOLD))
    one = told.table_valued("key", "value", joins_implicitly=True)
    amount = cast(one.c.value, Numeric())
    return select(
        one.c.key.label("name"),
        Readings.taken_at.label("at"),
        literal(1).label("n"),
        amount.label("low"),
        amount.label("high"),
        amount.label("total"),
    ).where(
        Readings.person_id == person_id,
        Readings.kind == kind.value,
        Readings.taken_at >= bands.since,
        Readings.taken_at < bands.until,
    )
