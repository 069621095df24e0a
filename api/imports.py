"""Lists of people, sent as a file: looked at, then stored."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from api import uploads
from api.db import asked
from api.house import House
from api.problems import refuses
from eschool import rosters
from people import imports
from people.imports import ImportReport, Mode
from people.policy import Act
from people.relations import actor_of
from people.roster_files import MAX_BYTES, RosterTooLarge
from people.roster_rows import read_roster
from people.sessions import Caller
from people.step_up import require_fresh

# A CSV file or a zip of them; which it is shows in its first bytes, not in what a browser calls it.
BYTES = "application/octet-stream"


@post(
    "/organisations/{organisation_id:uuid}/imports",
    operation_id="importPeople",
    status_code=200,
    act=Act.MANAGE_PEOPLE,
    responses=refuses(400, 401, 403, 404, 408, 413, 415, 422),
    request_max_body_size=None,
    takes=BYTES,
)
async def import_people(
    *,
    organisation_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    mode: FromQuery[Mode] = "look",
) -> ImportReport:
    """Look at a list of people (CSV, or OneRoster CSV files in a zip), or store it.

    `whole` stores all rows or none, `skip` leaves out bad ones. At most 5 MB and 20 000 rows.
    """
    async with house.transaction(asked(request)) as db:
        today = await imports.local_today(db, sender.actor, organisation_id, now)
    if mode != "look":
        require_fresh(sender, now)
    async with (
        uploads.one_at_a_time(house, organisation_id),
        uploads.body_in(
            request,
            house.settings,
            media_type=BYTES,
            max_bytes=MAX_BYTES,
            too_large=RosterTooLarge,
        ) as (file, _),
    ):
        data = await asyncio.to_thread(file.read_bytes)
        roster = await asyncio.to_thread(read_roster, data, today)
        later = house.clock()  # a body may take long: rights are judged as they are now
        async with house.transaction(asked(request)) as db:
            actor = await actor_of(db, sender.person_id, later)
            report, seats = await imports.import_people(
                db, actor, organisation_id, roster, later, mode=mode
            )
            pupils = {seat.person_id: seat.classes for seat in seats}
            await rosters.seat(db, actor, organisation_id, pupils, later)
            return report


ROUTES = [import_people]
