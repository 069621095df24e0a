"""A person's own data as one archive, made while it is sent."""

from collections.abc import AsyncGenerator
from datetime import datetime
from functools import partial
from typing import Any, Final
from uuid import UUID

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Stream

from api.db import asked
from api.house import House
from api.problems import refuses
from people import exporting as exporting_people
from people import exports
from people.exports import Source
from people.policy import Act
from people.refused import Refused
from people.sessions import Caller
from telemed import exporting

ROOMS: Final = (exporting, exporting_people)  # importing a room's exporter registers it
_running: Final[set[UUID]] = set()


class ExportRunning(Refused):
    """One archive at a time: the one before is still on its way."""

    status = 409
    code = "export_running"


@get(
    "/me/export",
    operation_id="exportMyData",
    act=(
        Act.EXPORT_DATA,
        Act.SEE_RECORD,
        Act.SEE_VISIT_FILES,
        Act.SEE_DOCUMENT,
        Act.WRITE_DOCUMENT,
        Act.GIVE_DOCUMENT,
    ),
    responses=refuses(401, 403, 409),
    media_type="application/zip",
)
async def export(
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Stream:
    """Everything the house knows of the caller, as a zip. Asks for a fresh proof."""
    if sender.person_id in _running:
        raise ExportRunning
    async with house.transaction(asked(request)) as db:
        await exports.begin(db, sender, now)
    source = Source(partial(house.transaction, asked(request)), house.objects, sender, now)
    headers = {"Content-Disposition": f'attachment; filename="yanasha-{now:%Y-%m-%d}.zip"'}
    return Stream(_alone(source), media_type="application/zip", headers=headers)


async def _alone(source: Source) -> AsyncGenerator[bytes, None]:
    _running.add(source.caller.person_id)
    try:
        async for piece in exports.archive(source):
            yield piece
    finally:
        _running.discard(source.caller.person_id)


ROUTES = [export]
