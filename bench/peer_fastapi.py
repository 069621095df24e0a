"""The peer of `read.auth`: a visit's readings as one serves them with FastAPI and SQLAlchemy.

It does what `GET /api/v1/visits/{id}/readings` of ours does: the session behind the cookie, kept
awake; the visit by the policy's SQL; the patient's consent; the audit row in the read's own
transaction; the readings; a commit before the answer. It has our tables, our policy's WHERE, our
pool's options, our uvicorn and our three wrappers around the application, so that what differs is
what each side makes of them. The second look at the policy, over the caller's rights, is left out:
here the SELECT is the only one.
"""

import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from api import logs
from api.__main__ import uvicorn_options
from api.db import cookie_name
from api.security import BodyDeadline, RequestLog, SecurityHeaders
from people.audit import WRITE_PATH, AuditReads
from people.device_tokens import Devices, token_hash
from people.policy import Act
from people.relations import allowed
from people.sessions import Sessions
from storage.engine import sqlalchemy_url
from storage.settings import Settings
from telemed.readings import READINGS_SHOWN, Readings
from telemed.telemedicine import require_consent
from telemed.visits import Visits, window

TOUCH_EVERY = timedelta(seconds=20)


class DeviceOut(BaseModel):
    """What measured."""

    id: UUID
    name: str


class ReadingOut(BaseModel):
    """A reading as screens show it."""

    id: UUID
    kind: str
    sequence: int
    taken_at: datetime
    received_at: datetime
    values: dict[str, float]
    unit: str
    sent_values: dict[str, float]
    sent_unit: str
    device: DeviceOut
    flags: list[str]


def get_now() -> datetime:
    """One time for the whole request."""
    return datetime.now(UTC)


async def get_db(request: Request) -> AsyncIterator[AsyncSession]:
    """The request's transaction; `scope="function"` ends it before the answer."""
    maker: async_sessionmaker[AsyncSession] = request.app.state.maker
    async with maker() as db, db.begin():
        yield db


Db = Annotated[AsyncSession, Depends(get_db, scope="function")]
Now = Annotated[datetime, Depends(get_now)]


async def get_session(request: Request, db: Db, now: Now) -> Sessions:
    """The live session behind the cookie."""
    token = request.cookies.get(request.app.state.cookie)
    if not token:
        raise HTTPException(401)
    query = select(Sessions).where(Sessions.token_sha256 == token_hash(token), Sessions.live(now))
    row = await db.scalar(query)
    if row is None:
        raise HTTPException(401)
    if now - row.last_seen_at >= TOUCH_EVERY:
        awake = {"last_seen_at": now, "idle_until": now + row.idle}
        await db.execute(update(Sessions).where(Sessions.id == row.id).values(awake))
    return row


async def visit_readings(
    visit_id: UUID, session: Annotated[Sessions, Depends(get_session)], db: Db, now: Now
) -> list[ReadingOut]:
    """Readings of the visit's patient, oldest first."""
    may = allowed(
        Act.SEE_VISIT_READINGS,
        session.person_id,
        now,
        subject=Visits.patient_id,
        organisation=Visits.organisation_id,
        about=(Visits.id,),
    )
    visit = await db.scalar(select(Visits).where(Visits.id == visit_id, may))
    if visit is None:
        raise HTTPException(404)
    if session.person_id != visit.patient_id:
        place, before = visit.organisation_id, visit.closed_at
        await require_consent(db, visit.patient_id, place, now, before=before)
    db.add(
        AuditReads(
            at=now,
            actor_id=session.person_id,
            act=Act.SEE_VISIT_READINGS.value,
            subject_id=visit.patient_id,
            organisation_id=visit.organisation_id,
            about_id=visit.id,
            tables=["devices", "readings"],
        )
    )
    query = (
        select(Readings, Devices.name)
        .join(Devices, Devices.id == Readings.device_id)
        .where(
            Readings.person_id == visit.patient_id,
            Readings.taken_at.between(*window(visit)),
        )
        .order_by(Readings.taken_at.desc(), Readings.id.desc())
        .limit(READINGS_SHOWN)
    )
    # The watch over health tables stands in this process too: it comes with our tables.
    rows = (await db.execute(query, execution_options=WRITE_PATH)).all()
    return [_shown(row, name) for row, name in reversed(rows)]


def _shown(row: Readings, name: str) -> ReadingOut:
    return ReadingOut(
        id=row.id,
        kind=row.kind,
        sequence=row.sequence,
        taken_at=row.taken_at,
        received_at=row.received_at,
        values=row.values,
        unit=row.unit,
        sent_values=row.sent_values,
        sent_unit=row.sent_unit,
        device=DeviceOut(id=row.device_id, name=name),
        flags=row.flags,
    )


def create_app(settings: Settings) -> Any:
    """The application behind the same wrappers as ours."""
    app = FastAPI(openapi_url=None)
    app.get("/api/v1/visits/{visit_id}/readings")(visit_readings)
    engine = create_async_engine(
        sqlalchemy_url(settings.database_url),
        pool_size=16,
        max_overflow=0,
        pool_use_lifo=True,
        pool_pre_ping=True,
        json_deserializer=msgspec.json.decode,
        connect_args={"options": "-c timezone=UTC"},
    )
    app.state.maker = async_sessionmaker(engine, expire_on_commit=False)
    app.state.cookie = cookie_name(settings)
    logs.configure()
    headed: Any = SecurityHeaders(app, tls=settings.secure_cookies)  # type: ignore[arg-type]
    return RequestLog(BodyDeadline(headed))


def main() -> int:
    """Serve until SIGTERM, as `python -m api` does."""
    settings = Settings.from_env()
    uvicorn.run(create_app(settings), **uvicorn_options(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main())
