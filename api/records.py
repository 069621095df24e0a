"""Records: one's own, a child's, and those that were opened to a doctor."""

from datetime import datetime
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from people.policy import Act
from people.sessions import Caller
from telemed import record
from telemed.record import OpenRecord, Record


@get("/records", operation_id="listRecords", act=Act.SEE_RECORD, responses=refuses(401))
async def list_records(
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[OpenRecord]:
    """Records that are open to the caller as a doctor, the soonest to close first."""
    return await record.open_records(db, caller.actor, now)


@get(
    "/records/{person_id:uuid}",
    operation_id="getRecord",
    act=Act.SEE_RECORD,
    responses=refuses(400, 401, 404),
)
async def get_record(
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    organisation_id: FromQuery[UUID | None] = None,
) -> Record:
    """A person's record as far as it is open to the caller."""
    return await record.get_record(db, caller.actor, person_id, organisation_id, now)


ROUTES = [list_records, get_record]
