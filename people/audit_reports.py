"""Who looked: the audit as the person it is about sees it, and as an administrator does.

Reads, acts and refusals are one list, newest first. What one person did to one thing in one sitting
is one line with a count: a visit's screen reads the same readings many times. Every query is by an
index of the table it asks; names and hats are looked up for the page that is shown only.
"""

import asyncio
import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, Table, and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import audit
from people.administration import require_at
from people.audit_chain import SOURCES, AuditSeals
from people.audit_of_child import for_guardian
from people.audit_rows import AuditRow, LookKind, Names, Place, Way, names_of, rows_of_ways
from people.members import belongs
from people.organisations import Organisations, Ref
from people.persons import RoleName
from people.policy import Act, Actor, Thing, may
from people.refused import NotFound, OutOfRange, Refused
from people.sessions import Caller
from people.step_up import require_fresh

BATCH = 500
MOST_BATCHES = 10
PAGE = 30
SITTING = timedelta(minutes=30)
EXPORT_MOST = 50_000
_YEARS = (2000, 2100)

# What a spreadsheet would run instead of show: OWASP, CSV injection.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


class ExportTooLarge(Refused):
    """More rows than one file may have; `params["most"]` says how many it may."""

    status = 422
    code = "export_too_large"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One person did one thing to one thing, `times` in a sitting from `since` to `until`.

    Without `who` it was the house itself, or somebody who was not known.
    """

    kind: LookKind
    act: str
    who: Ref | None
    role: RoleName | None
    subject: Ref | None
    organisation: Ref | None
    about_id: UUID | None
    details: dict[str, str]  # of an organisation's own audit only
    since: datetime
    until: datetime
    times: int


class Looks(msgspec.Struct, frozen=True):
    """A page of the audit, newest first, and where the next one begins."""

    items: list[Look]
    more: Place | None


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What an administrator asks for: a person on either side; local days, both included."""

    person_id: UUID | None = None
    since: date | None = None
    until: date | None = None


async def who_looked(
    db: AsyncSession,
    actor: Actor,
    person_id: UUID,
    now: datetime,
    *,
    own: bool = False,
    after: Place | None = None,
) -> Looks:
    """Who read or changed what is the person's; with `own` what they did themselves too.

    Nobody is shown what he is NOT_TOLD; a guardian neither what other guardians did, nor a school's
    rows unless the child's school is open to him. Raises NotFound for anybody but the person and
    who sees their health as one.
    """
    whose = Thing(subject_id=person_id)
    if not may(actor, Act.WHO_LOOKED, whose, now):
        raise NotFound
    school = may(actor, Act.SEE_CHILD_SCHOOL, whose, now)

    def about(table: Table) -> Iterable[ColumnElement[bool]]:
        if "subject_id" not in table.c:
            return
        subject = and_(table.c.subject_id == person_id, table.c.act.not_in(audit.NOT_TOLD))
        others = table.c.actor_id.is_distinct_from(person_id)
        rows = subject if own else and_(subject, others)
        mine = actor.id == person_id
        yield rows if mine else and_(rows, *for_guardian(table, actor, school=school))

    ways = [(table, way) for table in SOURCES.values() for way in about(table)]
    page = await _page(db, ways, after)
    return Looks([msgspec.structs.replace(one, details={}) for one in page.items], page.more)


async def audit_of(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    wanted: AuditFilter,
    now: datetime,
    *,
    after: Place | None = None,
) -> Looks:
    """What was read, done and refused in an organisation, to its administrator.

    Each page is itself an act, which the next look shows.
    """
    require_at(actor, Act.READ_AUDIT, organisation_id, now)
    page = await _page(db, await _ways_in(db, organisation_id, wanted), after)
    await _asked(db, actor, organisation_id, wanted, now, act="audit_read")
    return page


async def export(
    db: AsyncSession, caller: Caller, organisation_id: UUID, wanted: AuditFilter, now: datetime
) -> bytes:
    """Give the same rows, each by itself, as CSV in UTF-8. Itself an act.

    Raises StepUpNeeded for a session that was not proved lately, and ExportTooLarge.
    """
    actor = caller.actor
    require_at(actor, Act.READ_AUDIT, organisation_id, now)
    require_fresh(caller, now)
    ways = await _ways_in(db, organisation_id, wanted)
    rows = await rows_of_ways(db, ways, None, EXPORT_MOST + 1)
    if len(rows) > EXPORT_MOST:
        raise ExportTooLarge(most=EXPORT_MOST)
    await _asked(db, actor, organisation_id, wanted, now, act="audit_exported")
    sealed = await _seals(db, rows)
    names = await names_of(db, rows)
    # Many rows take seconds: nobody else's request waits for that.
    return await asyncio.to_thread(_csv, rows, names, sealed)


def _csv(rows: Sequence[AuditRow], names: Names, sealed: dict[UUID, int]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_HEADINGS)
    for row in rows:
        who, subject = names.person(row.actor_id), names.person(row.subject_id)
        role = names.role(row)
        cells = [
            *(row.at.isoformat(), row.kind, row.act, row.actor_id, who and who.name, role),
            *(row.subject_id, subject and subject.name, row.about_id),
            *(_pairs(row.details), sealed.get(row.id)),
        ]
        writer.writerow([plain_cell("" if cell is None else str(cell)) for cell in cells])
    # The mark at the front makes a spreadsheet read UTF-8.
    return b"\xef\xbb\xbf" + out.getvalue().encode()


_HEADINGS = (
    *("at_utc", "kind", "act", "who_id", "who", "role", "subject_id", "subject"),
    *("about_id", "details", "seal_number"),
)


def plain_cell(cell: str) -> str:
    """Give a cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _pairs(details: dict[str, str] | None) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted((details or {}).items()))


async def _asked(
    db: AsyncSession,
    actor: Actor,
    organisation_id: UUID,
    wanted: AuditFilter,
    now: datetime,
    *,
    act: str,
) -> None:
    """Keep who asked for what; on the list of whom he asked for only if that one is of here.

    Whoever stands in a row is named in it: asking must put nobody of elsewhere into one.
    """
    days = {"since": wanted.since, "until": wanted.until}
    details = {name: day.isoformat() for name, day in days.items() if day is not None}
    subject = wanted.person_id
    if subject is not None and not await _is_of(db, organisation_id, subject, now):
        details["person"] = str(subject)
        subject = None
    about = Thing(subject_id=subject, organisation_id=organisation_id)
    await audit.acted(db, actor.id, act, about, now, details=details)


async def _is_of(db: AsyncSession, organisation_id: UUID, person_id: UUID, now: datetime) -> bool:
    """Say whether a person belongs to the organisation, or stands in its audit already."""
    if await db.scalar(select(belongs(person_id, organisation_id, now))):
        return True
    ways = await _ways_in(db, organisation_id, AuditFilter(person_id=person_id))
    return bool(await rows_of_ways(db, ways, None, 1))


async def _ways_in(db: AsyncSession, organisation_id: UUID, wanted: AuditFilter) -> list[Way]:
    """Which rows of which table: each way is one walk along one index."""
    zone = await db.scalar(
        select(Organisations.timezone).where(Organisations.id == organisation_id)
    )
    if zone is None:
        raise NotFound
    since = _midnight("since", wanted.since, zone)
    until = _midnight("until", wanted.until, zone, days=1)
    ways = []
    for table in SOURCES.values():
        here = [table.c.organisation_id == organisation_id]
        if since is not None:
            here.append(table.c.at >= since)
        if until is not None:
            here.append(table.c.at < until)
        if wanted.person_id is None:
            ways.append((table, and_(*here)))
            continue
        ways.append((table, and_(*here, table.c.actor_id == wanted.person_id)))
        if "subject_id" in table.c:
            done_to = table.c.subject_id == wanted.person_id
            others = table.c.actor_id.is_distinct_from(wanted.person_id)
            ways.append((table, and_(*here, done_to, others)))
    return ways


def _midnight(field: str, day: date | None, zone: str, *, days: int = 0) -> datetime | None:
    if day is None:
        return None
    if not _YEARS[0] <= day.year <= _YEARS[1]:
        raise OutOfRange(field, *_YEARS)
    return datetime.combine(day + timedelta(days=days), clock_time(), ZoneInfo(zone))


async def _page(db: AsyncSession, ways: Sequence[Way], after: Place | None) -> Looks:
    """Fold rows into lines until a page is full."""
    lines: list[list[AuditRow]] = []
    for _ in range(MOST_BATCHES):
        rows = await rows_of_ways(db, ways, after, BATCH)
        for place, row in enumerate(rows):
            if not _joins(lines, row):
                if len(lines) == PAGE:
                    after = _place(rows[place - 1]) if place else after
                    return await _looks(db, lines, after)
                lines.append([row])
        if len(rows) < BATCH:
            return await _looks(db, lines, None)
        after = _place(rows[-1])
    return await _looks(db, lines, after)


def _joins(lines: list[list[AuditRow]], row: AuditRow) -> bool:
    """Put the row into the newest line of the same sitting, if there is one."""
    for line in reversed(lines):
        if line[-1].same == row.same:
            if line[-1].at - row.at > SITTING:
                return False
            line.append(row)
            return True
    return False


def _place(row: AuditRow) -> Place:
    return Place(row.at, row.id)


async def _looks(db: AsyncSession, lines: list[list[AuditRow]], more: Place | None) -> Looks:
    names = await names_of(db, [line[0] for line in lines])
    return Looks([_look(line, names) for line in lines], more)


def _look(line: list[AuditRow], names: Names) -> Look:
    row = line[0]
    return Look(
        kind=row.kind,
        act=row.act,
        who=names.person(row.actor_id),
        role=names.role(row),
        subject=names.person(row.subject_id),
        organisation=names.organisation(row.organisation_id),
        about_id=row.about_id,
        details=row.details or {},
        since=line[-1].at,
        until=row.at,
        times=len(line),
    )


async def _seals(db: AsyncSession, rows: Sequence[AuditRow]) -> dict[UUID, int]:
    ids = [row.id for row in rows]
    query = select(AuditSeals.row_id, AuditSeals.sequence)
    found: dict[UUID, int] = {}
    for start in range(0, len(ids), BATCH):
        some = query.where(AuditSeals.row_id.in_(ids[start : start + BATCH]))
        found |= {row.row_id: row.sequence for row in await db.execute(some)}
    return found
