"""Who looked: at my own or my child's record, and in an organisation one administers."""

from datetime import UTC, date, datetime
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people import audit_reports
from people.audit_reports import AuditFilter, Looks
from people.audit_rows import Place
from people.policy import Act
from people.sessions import Caller

_CSV = "text/csv"
_AS_FILE = {"Content-Disposition": 'attachment; filename="audit.csv"'}


def _place(before: datetime | None, before_id: UUID | None) -> Place | None:
    """Where the last page ended: both or neither."""
    if before is None or before_id is None:
        return None
    return Place(before if before.tzinfo else before.replace(tzinfo=UTC), before_id)


@get(
    "/looked",
    operation_id="whoLooked",
    act=(Act.WHO_LOOKED, Act.SEE_CHILD_SCHOOL),
    responses=refuses(400, 401, 404),
)
async def who_looked(
    *,
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    person_id: FromQuery[UUID | None] = None,
    own: FromQuery[bool] = False,
    before: FromQuery[datetime | None] = None,
    before_id: FromQuery[UUID | None] = None,
) -> Looks:
    """Who read or changed what is mine, or my child's; with `own` what I did myself too."""
    return await audit_reports.who_looked(
        db,
        caller.actor,
        person_id or caller.person_id,
        now,
        own=own,
        after=_place(before, before_id),
    )


@get(
    "/organisations/{organisation_id:uuid}/audit",
    operation_id="readAudit",
    act=Act.READ_AUDIT,
    responses=refuses(400, 401, 403, 404, 422),
)
async def read_audit(
    *,
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    person_id: FromQuery[UUID | None] = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    before: FromQuery[datetime | None] = None,
    before_id: FromQuery[UUID | None] = None,
) -> Looks:
    """What was read, done and refused in the organisation, on these local days."""
    wanted = AuditFilter(person_id=person_id, since=since, until=until)
    after = _place(before, before_id)
    return await audit_reports.audit_of(db, caller.actor, organisation_id, wanted, now, after=after)


@get(
    "/organisations/{organisation_id:uuid}/audit.csv",
    operation_id="exportAudit",
    act=Act.READ_AUDIT,
    media_type=_CSV,
    responses=refuses(400, 401, 403, 404, 422),
)
async def export_audit(
    *,
    organisation_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    person_id: FromQuery[UUID | None] = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
) -> Response[bytes]:
    """The same as a table for a spreadsheet; asks for a fresh proof of who wants it."""
    wanted = AuditFilter(person_id=person_id, since=since, until=until)
    table = await audit_reports.export(db, caller, organisation_id, wanted, now)
    return Response(table, headers=_AS_FILE)


ROUTES = [who_looked, read_audit, export_audit]
