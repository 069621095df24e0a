"""A person's own data as one archive, made while it is sent."""

from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any, Final
from uuid import UUID

from litestar import Request, get
from litestar.di import NamedDependency
from litestar.response import Stream

from api.db import asked
from api.house import House
from api.problems import refuses
from eschool import exporting as exporting_school
from people import exporting as exporting_people
from people import exports
from people.exports import Source
from people.policy import Act
from people.refused import Refused
from people.sessions import Caller
from storage.ingest import Busy
from telemed import exporting

# Importing a room's exporter registers it.
ROOMS: Final = (exporting, exporting_people, exporting_school)
_AT_ONCE: Final = 3
# Until the first piece is asked for; who has gone away by then asks for none.
_BEGUN_WITHIN_S: Final = 30.0
LONGEST_S: Final = 3600.0


class ExportRunning(Refused):
    """One archive at a time: the one before is still on its way."""

    status = 409
    code = "export_running"


class Places:
    """Who takes an archive, one each and few in all, and until when the place is his."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.clock = clock
        self._until: dict[UUID, float] = {}

    def take(self, person_id: UUID) -> None:
        """Take a place. Raises ExportRunning, Busy."""
        now = self.clock()
        self._until = {one: until for one, until in self._until.items() if until > now}
        if person_id in self._until:
            raise ExportRunning
        if len(self._until) >= _AT_ONCE:
            raise Busy
        self._until[person_id] = now + _BEGUN_WITHIN_S

    def take_longer(self, person_id: UUID) -> float:
        """Say until when the place is his now that the archive is on its way."""
        self._until[person_id] = until = self.clock() + LONGEST_S
        return until

    def leave(self, person_id: UUID) -> None:
        """Leave the place to the next."""
        self._until.pop(person_id, None)


places: Final = Places()


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
    responses=refuses(401, 403, 409, 503),
    media_type="application/zip",
)
async def export(
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Stream:
    """Everything the house knows of the caller, as a zip. Asks for a fresh proof."""
    places.take(sender.person_id)
    try:
        async with house.transaction(asked(request)) as db:
            await exports.begin(db, sender, now)
    except BaseException:
        places.leave(sender.person_id)
        raise
    source = Source(partial(house.transaction, asked(request)), house.objects, sender, now)
    headers = {"Content-Disposition": f'attachment; filename="yanasha-{now:%Y-%m-%d}.zip"'}
    return Stream(placed(source, places), media_type="application/zip", headers=headers)


async def placed(source: Source, room: Places) -> AsyncGenerator[bytes, None]:
    """The archive, cut off when it takes too long: an unfinished zip, which no program opens."""
    person_id = source.caller.person_id
    until = room.take_longer(person_id)
    try:
        async for piece in exports.archive(source):
            if room.clock() > until:
                raise TimeoutError("an archive was not taken in time")
            yield piece
    finally:
        room.leave(person_id)


ROUTES = [export]
