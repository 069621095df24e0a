"""What a visit's doctor looks at longer: a stored stretch analysed, and strips of it kept.

Arithmetic and drawing take tenths of a second, so they are done in a thread, one at a time; nothing
of the database is held meanwhile, nor while objects are read.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api.db import asked
from api.house import House
from api.problems import refuses
from people.policy import Act
from people.relations import actor_of
from people.sessions import Caller
from telemed import ecg_sheets, ecg_strips
from telemed.ecg_analysis import EcgAnalysis, analyse
from telemed.ecg_strips import EcgStrip, NewStrip
from telemed.ecg_trace import (
    MAX_ANALYSED_S,
    Span,
    find_trace,
    join,
    read_trace,
    require_span,
)

T = TypeVar("T")

LATEST_US: Final = 7_258_118_400_000_000
SVG: Final = "image/svg+xml"
PDF: Final = "application/pdf"
SANDBOX: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
_STRIPS = "/visits/{visit_id:uuid}/ecg-strips"


@get(
    "/visits/{visit_id:uuid}/ecg/{stream_id:uuid}/analysis",
    operation_id="visitEcgAnalysis",
    act=(Act.SEE_VISIT_ECG, Act.SEE_VISIT),
    responses=refuses(400, 401, 403, 404, 422, 429),
)
async def visit_ecg_analysis(
    *,
    visit_id: FromPath[UUID],
    stream_id: FromPath[UUID],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    from_us: Annotated[int, QueryParameter(ge=0, le=LATEST_US)],
    until_us: Annotated[int, QueryParameter(ge=0, le=LATEST_US)],
) -> EcgAnalysis:
    """Beats, quality by the second and findings in at most ten minutes of a stream."""
    span = Span(from_us, until_us)
    require_span(span, MAX_ANALYSED_S)
    async with house.transaction() as db:
        found = await find_trace(db, sender.actor, visit_id, stream_id, span, now)
    frames = await read_trace(house.objects, found)
    return await _aside(house, sender, lambda: analyse(join(found.lead, frames, span)))


@post(
    "/visits/{visit_id:uuid}/ecg/{stream_id:uuid}/strips",
    operation_id="attachEcgStrip",
    act=(Act.ATTACH_ECG_STRIP, Act.SEE_VISIT_ECG, Act.SEE_VISIT),
    responses=refuses(400, 401, 403, 404, 409, 413, 415, 422, 429),
)
async def attach_ecg_strip(
    *,
    visit_id: FromPath[UUID],
    stream_id: FromPath[UUID],
    data: JSONBody[NewStrip],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> EcgStrip:
    """Attach at most thirty seconds to the record; the same strip again gets the same answer."""
    where = asked(request)
    async with house.transaction(where) as db:
        begun = await ecg_strips.begin(db, sender.actor, visit_id, stream_id, data, now)
    if begun.there is not None:
        return begun.there
    frames = await read_trace(house.objects, begun.found)
    kept, pdf = await _aside(house, sender, lambda: ecg_sheets.made(begun, frames, data))
    later = house.clock()
    async with house.transaction() as db:
        actor = await actor_of(db, sender.person_id, later)
    async with house.transaction(where) as db:
        return await ecg_strips.attach(db, actor, visit_id, stream_id, data, kept, pdf, later)


@get(
    _STRIPS,
    operation_id="listEcgStrips",
    act=(Act.SEE_VISIT_ECG, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def list_ecg_strips(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[EcgStrip]:
    """The strips of a visit, the oldest first."""
    return await ecg_strips.visit_strips(db, caller.actor, visit_id, now)


@get(
    f"{_STRIPS}/{{strip_id:uuid}}/svg",
    operation_id="ecgStripPicture",
    act=(Act.SEE_VISIT_ECG, Act.SEE_VISIT),
    media_type=SVG,
    responses=refuses(401, 403, 404, 429),
)
async def ecg_strip_picture(
    *,
    visit_id: FromPath[UUID],
    strip_id: FromPath[UUID],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[bytes]:
    """A strip as a picture, true to the millimetre."""
    async with house.transaction() as db:
        kept, _ = await ecg_strips.get_strip(db, sender.actor, visit_id, strip_id, now)
    svg = await _aside(house, sender, lambda: ecg_sheets.svg(kept))
    return Response(svg, headers={"Content-Security-Policy": SANDBOX})


@get(
    f"{_STRIPS}/{{strip_id:uuid}}/pdf",
    operation_id="ecgStripSheet",
    act=(Act.SEE_VISIT_ECG, Act.SEE_VISIT),
    media_type=PDF,
    responses=refuses(401, 403, 404),
)
async def ecg_strip_sheet(
    visit_id: FromPath[UUID],
    strip_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[bytes]:
    """The sheet of a strip as it was attached, to be printed at its own size."""
    _, pdf = await ecg_strips.get_strip(db, caller.actor, visit_id, strip_id, now)
    way = f'attachment; filename="ecg-{strip_id}.pdf"'
    return Response(pdf, headers={"Content-Disposition": way, "Content-Security-Policy": SANDBOX})


async def _aside(house: House, sender: Caller, work: Callable[[], T]) -> T:
    """Do what takes long beside the loop; of one person's no more than wait their turn."""
    async with house.analyses.turn_of(str(sender.person_id)):
        return await asyncio.to_thread(work)


ROUTES = [
    visit_ecg_analysis,
    attach_ecg_strip,
    list_ecg_strips,
    ecg_strip_picture,
    ecg_strip_sheet,
]
