"""Health records that are past the time the operator says they are kept; without a word, never.

A person's record is kept whole, as a card is: it is past its time when the last entry of all in it
is, wherever it was made. Each room says when its entries are of (`dates`) and takes its part away
(`forgets_record`). Whoever is held, erased or has something newer is left alone; that is asked
again behind the person's lock when it is done. The account stays, and the register of documents.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.erasure import Erasures
from people.holds import held
from people.persons import Persons
from people.policy import Thing
from storage.jobs import Work, enqueue, job

# SQL: times of a person's entries (of an id or a column).
Dates = Callable[[Any], Select[datetime]]
Forget = Callable[[Work, UUID], Awaitable[None]]
D = TypeVar("D", bound=Dates)
F = TypeVar("F", bound=Forget)
_dates: Final[list[Dates]] = []
_closer: Final[list[Dates]] = []
_forgets: Final[list[Forget]] = []
# Of one night: a house that sets a time after years takes some nights.
_AT_ONCE: Final = 200


def dates(entries: D) -> D:
    """Decorate how a room finds when its entries of a person are of."""
    _dates.append(entries)
    return entries


def dates_of_one(entries: D) -> D:
    """As `dates`, where it is too much to ask of everybody: asked of one person at the end."""
    _closer.append(entries)
    return entries


def forgets_record(forget: F) -> F:
    """Decorate what a room takes away with a record; it may be called more than once."""
    _forgets.append(forget)
    return forget


@job("people.retain_health", cron="55 9 * * *")  # noon in the region: a house may be off at night
async def retain_health(work: Work) -> None:
    """Ask for the end of each record that is past its time."""
    if (years := work.settings.keep_health_records_years) is None:
        return
    for person_id in await over(work.db, before(work.now, years), work.now):
        once = f"record {person_id.hex}"
        await enqueue(work.db, "people.forget_record", once=once, person=person_id)


@job("people.forget_record")
async def forget_record(work: Work, person: UUID) -> None:
    """Take one record away, if that is still right."""
    if (years := work.settings.keep_health_records_years) is None:
        return  # the operator has taken the word back meanwhile
    person_id = UUID(str(person))
    await work.db.execute(select(Persons.id).where(Persons.id == person_id).with_for_update())
    if not await _is_over(work.db, person_id, before(work.now, years), work.now):
        return
    for forget in _forgets:
        await forget(work, person_id)
    thing, details = Thing(subject_id=person_id), {"years": str(years)}
    await audit.acted(work.db, None, "record_time_over", thing, work.now, details=details)


def before(now: datetime, years: int) -> datetime:
    """Give the moment so many years ago; of a leap day, the day before."""
    try:
        return now.replace(year=now.year - years)
    except ValueError:
        return now.replace(year=now.year - years, day=28)


async def over(db: AsyncSession, moment: datetime, now: datetime) -> list[UUID]:
    """Give some persons whose last entry is from before `moment`, and whom nobody holds."""
    query = (
        select(Persons.id)
        .where(or_(*(one(Persons.id).exists() for one in _dates)))
        .where(*_nothing_since(_dates, Persons.id, moment), *_free(Persons.id, now))
        # Others each day: whoever is found here and kept in the end would stand in their way.
        .order_by(func.md5(func.concat(Persons.id, str(now.date()))))
        .limit(_AT_ONCE)
    )
    return list((await db.scalars(query, execution_options=audit.WRITE_PATH)).all())


async def _is_over(db: AsyncSession, person_id: UUID, moment: datetime, now: datetime) -> bool:
    old = _nothing_since([*_dates, *_closer], Persons.id, moment)
    query = select(Persons.id).where(Persons.id == person_id, *old, *_free(Persons.id, now))
    return await db.scalar(query, execution_options=audit.WRITE_PATH) is not None


def _nothing_since(
    entries: list[Dates], person_id: Any, moment: datetime
) -> list[ColumnElement[bool]]:
    found = [one(person_id) for one in entries]
    return [not_(one.where(one.selected_columns[0] >= moment).exists()) for one in found]


def _free(person_id: Any, now: datetime) -> list[ColumnElement[bool]]:
    erased = exists().where(Erasures.person_id == person_id)
    return [not_(held(person_id, now)), not_(erased)]
