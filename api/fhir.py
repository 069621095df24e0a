"""Readings for other programs, as FHIR R4. The way in is `POST /my/readings/file`."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.charts import KindName
from api.problems import refuses
from devices.measurement import Kind
from people.policy import Act
from people.sessions import Caller
from telemed import fhir_records
from telemed.fhir_records import MOST, Asked

FHIR: Final = "application/fhir+json"


@get(
    "/persons/{person_id:uuid}/fhir/Observation",
    operation_id="fhirObservations",
    act=Act.SEE_RECORD,
    media_type=FHIR,
    responses=refuses(400, 401, 404),
)
async def fhir_observations(  # noqa: PLR0917 - what a query may say
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    before: FromQuery[datetime | None] = None,
    before_id: FromQuery[UUID | None] = None,
    kind: FromQuery[KindName | None] = None,
    organisation_id: FromQuery[UUID | None] = None,
    count: Annotated[int, QueryParameter(name="_count", ge=1, le=MOST)] = 100,
) -> Response[bytes]:
    """A bundle of the readings that are open to the caller, newest first, with a link onward."""
    asked = Asked(
        person_id=person_id,
        organisation_id=organisation_id,
        kind=None if kind is None else Kind(kind),
        before=before,
        before_id=before_id,
        count=count,
    )
    body = await fhir_records.observations(db, caller.actor, asked, now)
    return Response(body, media_type=FHIR)


ROUTES = [fhir_observations]
