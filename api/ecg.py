"""ECG streams of a visit, and their stored frames."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.house import House
from api.problems import refuses
from people.policy import Act
from people.sessions import Caller
from telemed import ecg
from telemed.ecg import EcgStreamInfo
from telemed.ecg_chunks import find_frames, read_frames

MAX_FRAMES = 3000


@get(
    "/visits/{visit_id:uuid}/ecg",
    operation_id="visitEcg",
    act=(Act.SEE_VISIT_ECG, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def visit_ecg(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[EcgStreamInfo]:
    """Streams of the visit's patient."""
    return await ecg.visit_ecg(db, caller.actor, visit_id, now)


@get(
    "/visits/{visit_id:uuid}/ecg/{stream_id:uuid}/frames",
    operation_id="visitEcgFrames",
    act=(Act.SEE_VISIT_ECG, Act.SEE_VISIT),
    media_type="application/octet-stream",
    responses=refuses(400, 401, 403, 404),
)
async def visit_ecg_frames(
    *,
    visit_id: FromPath[UUID],
    stream_id: FromPath[UUID],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    after: Annotated[int, QueryParameter(ge=-1, le=2**32)] = -1,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_FRAMES)] = 600,
) -> Response[bytes]:
    """Frames above sequence `after`, in order, each behind its length (u32, little endian)."""
    # The trace of the read is committed before the object store is asked, and nothing is held
    # meanwhile: a store that answers slowly must not take the database's connections with it.
    async with house.transaction() as db:
        found = await find_frames(db, sender.actor, visit_id, stream_id, after, limit, now)
    frames = await read_frames(house.objects, found)
    return Response(b"".join(len(f).to_bytes(4, "little") + f for f in frames))


ROUTES = [visit_ecg, visit_ecg_frames]
