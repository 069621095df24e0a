"""Charts of readings: on a visit's page and of a record."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import refuses
from devices.measurement import Kind
from people.policy import Act
from people.sessions import Caller
from telemed import charts
from telemed.charts import BANDS, MOST_BANDS, Asked, Chart

# Written out: litestar describes an enum in a query by a reference that leads nowhere.
KindName = Literal[
    "blood_pressure",
    "glucose",
    "cgm_glucose",
    "cholesterol_total",
    "cholesterol_hdl",
    "cholesterol_ldl",
    "triglyceride",
    "heart_rate",
    "spo2",
    "temperature",
    "weight",
]
Bands = Annotated[int, QueryParameter(ge=1, le=MOST_BANDS)]


@get(
    "/visits/{visit_id:uuid}/chart",
    operation_id="visitChart",
    act=(Act.SEE_VISIT_READINGS, Act.SEE_VISIT),
    responses=refuses(400, 401, 403, 404),
)
async def visit_chart(  # noqa: PLR0917 - what a query may say
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    kind: FromQuery[KindName],
    since: FromQuery[datetime],
    until: FromQuery[datetime],
    bands: Bands = BANDS,
) -> Chart:
    """Readings of one kind as bands, as far as they are part of the visit."""
    asked = Asked(Kind(kind), since, until, bands)
    return await charts.visit_chart(db, caller.actor, visit_id, asked, now)


@get(
    "/records/{person_id:uuid}/chart",
    operation_id="recordChart",
    act=Act.SEE_RECORD,
    responses=refuses(400, 401, 404),
)
async def record_chart(  # noqa: PLR0917 - what a query may say
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    kind: FromQuery[KindName],
    since: FromQuery[datetime],
    until: FromQuery[datetime],
    organisation_id: FromQuery[UUID | None] = None,
    bands: Bands = BANDS,
) -> Chart:
    """Readings of one kind as bands, as far as the record is open to the caller."""
    asked = Asked(Kind(kind), since, until, bands)
    return await charts.record_chart(db, caller.actor, person_id, organisation_id, asked, now)


ROUTES = [visit_chart, record_chart]
