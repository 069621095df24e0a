"""The live board of an administrator: rooms, people, media, failed work, disk. Pages poll it.

Of a lesson it tells who is in the room; of visits only how many are open and how many people are
in them. What is counted for the whole server says so: one machine serves several organisations.
"""

import shutil
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.db import asked
from api.house import House
from api.problems import refuses
from api.socket_messages import Side
from eschool.running import RunningLesson, running_lessons
from people.policy import Act
from people.sessions import Caller
from storage.dead_letters import list_letters
from telemed.running import open_visits

# "Lately" of failed joins.
LATELY_S = 3600.0


class InRoom(msgspec.Struct, frozen=True):
    """Somebody whose page of a lesson is open. `heard`, `seen`: media arrive from there."""

    id: UUID
    name: str
    side: Side
    heard: bool
    seen: bool


class LessonNow(msgspec.Struct, frozen=True):
    """A running lesson and who is in it."""

    lesson: RunningLesson
    people: list[InRoom]
    failed_joins: int


class VisitsNow(msgspec.Struct, frozen=True):
    """Open visits: numbers only."""

    open: int
    people: int
    failed_joins: int


class MediaNow(msgspec.Struct, frozen=True):
    """What the media worker counts since its start, for the whole server."""

    transports: int
    packets_in: int
    packets_out: int
    lost: int  # could not be sent on
    resent: int  # asked for again by a page that had lost them


class DiskNow(msgspec.Struct, frozen=True):
    """The disk of our own data."""

    free_bytes: int
    total_bytes: int


class BackupsNow(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator's commands wrote down. None: never. `log_behind`: changes since the last
    backup do not reach the place where backups lie."""

    made_at: datetime | None
    drilled_at: datetime | None
    drill_passed: bool
    log_behind: bool


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What happens now.

    `media` is None while a worker does not answer, and where what forwards media counts nothing.
    """

    at: datetime
    lessons: list[LessonNow]
    visits: VisitsNow
    media: MediaNow | None
    media_away: bool
    failed_jobs: int
    disk: DiskNow
    backups: BackupsNow


@get(
    "/organisations/{organisation_id:uuid}/board",
    operation_id="getBoard",
    act=Act.WATCH_BOARD,
    responses=refuses(401, 403, 404),
    quiet=True,
)
async def get_board(
    organisation_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Board:
    """The board of an organisation at this moment."""
    async with house.transaction(asked(request)) as db:
        lessons = await running_lessons(db, sender.actor, organisation_id, now)
        visits = await open_visits(db, sender.actor, organisation_id, now)
        letters = await list_letters(db, organisation_id)
    media = await _media(house)
    counts = "stats" in house.media.features
    return Board(
        at=now,
        lessons=[_lesson(house, one) for one in lessons],
        visits=_visits(house, visits),
        media=media,
        media_away=media is None if counts else not house.media.up,
        failed_jobs=len(letters),
        disk=_disk(house),
        backups=_backups(house),
    )


def _lesson(house: House, lesson: RunningLesson) -> LessonNow:
    rooms = house.lessons.rooms(lesson.id)
    people = [
        InRoom(one.id, one.name, one.side, heard=one.audio, seen=one.video or one.screen)
        for room_id in rooms
        for one in house.media.members(room_id)
        if one.online
    ]
    return LessonNow(lesson, people, house.media.failures(rooms, LATELY_S))


def _visits(house: House, visits: list[UUID]) -> VisitsNow:
    people = sum(one.online for visit in visits for one in house.media.members(visit))
    return VisitsNow(len(visits), people, house.media.failures(set(visits), LATELY_S))


async def _media(house: House) -> MediaNow | None:
    stats = await house.media.stats()
    if stats is None:
        return None
    return MediaNow(
        transports=stats.transports,
        packets_in=stats.packets_in,
        packets_out=stats.packets_out,
        lost=stats.dropped_send,
        resent=stats.resent,
    )


def _disk(house: House) -> DiskNow:
    usage = shutil.disk_usage(house.settings.home)
    return DiskNow(usage.free, usage.total)


class _Said(msgspec.Struct, frozen=True):
    """What is of use here in `state/backup-*.json`, which ops writes as a whole."""

    at: datetime
    passed: bool = False
    hole: bool = False
    away: bool = False


def _backups(house: House) -> BackupsNow:
    last, drill, log = (_said(house, what) for what in ("last", "drill", "wal"))
    return BackupsNow(
        made_at=last.at if last else None,
        drilled_at=drill.at if drill else None,
        drill_passed=drill is not None and drill.passed,
        log_behind=house.settings.backups is not None
        and log is not None
        and (log.hole or log.away),
    )


def _said(house: House, what: str) -> _Said | None:
    path = house.settings.state_dir / f"backup-{what}.json"
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Said)
    except (OSError, msgspec.DecodeError):
        return None


ROUTES = [get_board]
