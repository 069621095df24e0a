"""Recordings of a lesson: made by the teacher's word, watched live and afterwards.

Who may watch is judged at every request; no connection is held while bytes flow.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, put, route
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, JSONBody, PathParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api import ranges
from api.db import asked
from api.house import House
from api.problems import refuses
from eschool import lesson_room, recording_consents, recordings, takes
from eschool.lesson_room import LessonRoom
from eschool.recording_consents import RecordingConsents
from eschool.recordings import Edition, Presentation
from people.consents import Audience
from people.policy import Act
from people.refused import Refused
from people.sessions import Caller

VIDEO, AUDIO, PLAYLIST = "video/mp4", "audio/mp4", "application/vnd.apple.mpegurl"
_JUDGED = {"Cache-Control": ranges.CACHE_CONTROL}
_LESSON = "/lessons/{lesson_id:uuid}"
_RECORDING = f"{_LESSON}/recording"


class RecordingUnavailable(Refused):
    """Whatever forwards media here records nothing."""

    status = 409
    code = "recording_unavailable"


class RecordingChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Record or not; `audience`: who may watch it, the class unless said otherwise."""

    on: bool
    audience: Audience | None = None


@put(
    _RECORDING,
    operation_id="record",
    act=(Act.LEAD_LESSON, Act.JOIN_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404, 409, 413, 415),
)
async def record(
    *,
    lesson_id: FromPath[UUID],
    data: JSONBody[RecordingChange],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> LessonRoom:
    """Start or stop the recording, for everybody in the room to see.

    It starts only when everybody present has agreed; `consent_missing` names who has not.
    """
    if data.on:
        present = house.lessons.present(lesson_id)
        audience = data.audience or "class"
        await takes.start(db, caller.actor, lesson_id, audience, now, present=present)
        if "recording" not in house.media.features:
            raise RecordingUnavailable
    else:
        await takes.stop(db, caller.actor, lesson_id, now)
    return await lesson_room.room(db, lesson_id, now)


@get(
    f"{_RECORDING}/consents",
    operation_id="recordingConsents",
    act=(Act.JOIN_LESSON, Act.LEAD_LESSON, Act.SEE_LESSON),
    responses=refuses(400, 401, 403, 404),
)
async def recording_consents_now(
    *,
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    house: NamedDependency[House],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    audience: FromQuery[Audience] = "class",
) -> RecordingConsents:
    """Whether I have agreed to be recorded; to the teacher, who of those present has not."""
    present = house.lessons.present(lesson_id)
    return await recording_consents.recording_consents(
        db, caller.actor, lesson_id, audience, now, present=present
    )


@get(
    _RECORDING,
    operation_id="getRecording",
    act=(Act.WATCH_LESSON, Act.WATCH_SCHOOL_LESSON),
    responses=refuses(401, 403, 404),
)
async def get_recording(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Presentation:
    """What can be watched of a lesson: its length, takes, gaps and chapters."""
    return await recordings.presentation(db, caller.actor, lesson_id, now)


@get(
    f"{_RECORDING}/index.m3u8",
    operation_id="getPlaylist",
    act=(Act.WATCH_LESSON, Act.WATCH_SCHOOL_LESSON),
    media_type=PLAYLIST,
    responses=refuses(401, 403, 404),
)
async def get_playlist(
    lesson_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> Response[bytes]:
    """The recording as HLS: it grows while the lesson runs."""
    lines = await recordings.playlist(db, caller.actor, lesson_id, now)
    return Response(lines.encode(), headers=_JUDGED)


@get(
    f"{_RECORDING}/init.mp4",
    operation_id="getInitSegment",
    act=(Act.WATCH_LESSON, Act.WATCH_SCHOOL_LESSON),
    media_type=VIDEO,
    responses=refuses(401, 403, 404),
)
async def get_init(
    lesson_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[bytes]:
    """What an HLS player reads before the first segment."""
    async with house.transaction(asked(request)) as db:
        key = await recordings.init_key(db, sender.actor, lesson_id, "lesson", now)
    return Response(await house.objects.get(key), headers=_JUDGED)


@get(
    f"{_RECORDING}/segments/{{name:str}}",
    operation_id="getSegment",
    act=(Act.WATCH_LESSON, Act.WATCH_SCHOOL_LESSON),
    media_type=VIDEO,
    responses=refuses(400, 401, 403, 404),
)
async def get_segment(
    *,
    lesson_id: FromPath[UUID],
    # A router knows no parameter with an ending: the name is taken whole.
    name: Annotated[str, PathParameter(pattern=r"^\d{1,13}\.m4s$")],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[bytes]:
    """Two or three seconds of picture and voice, named by where they begin: `4000.m4s`."""
    start_ms = int(name.partition(".")[0])
    async with house.transaction(asked(request)) as db:
        key = await recordings.segment_key(db, sender.actor, lesson_id, start_ms, now)
    return Response(await house.objects.get(key), headers=_JUDGED)


async def _film(
    lesson_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Any]:
    """The whole recording as one file that can be sought in, by ranges."""
    return await _file(request, house, sender, lesson_id=lesson_id, edition="lesson", now=now)


async def _voice(
    lesson_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Any]:
    """The recording's voice alone as one file, by ranges."""
    return await _file(request, house, sender, lesson_id=lesson_id, edition="audio", now=now)


async def _file(
    request: Request[Any, Any, Any],
    house: House,
    sender: Caller,
    *,
    lesson_id: UUID,
    edition: Edition,
    now: datetime,
) -> Response[Any]:
    async with house.transaction(asked(request)) as db:
        stamp = await recordings.stamp(db, sender.actor, lesson_id, edition, now)
        kept = house.films.get(stamp)
        if kept is None:
            found = await recordings.pieces(db, sender.actor, lesson_id, edition, now)
    file = kept or house.films.keep(stamp, await recordings.opened(house.objects, found))

    def read(start: int, length: int) -> AsyncIterator[bytes]:
        return recordings.read(house.objects, file, start, length)

    media_type = VIDEO if edition == "lesson" else AUDIO
    return await ranges.answer(request, read, size=file.size, etag=file.etag, media_type=media_type)


def _ranged(media_type: str) -> dict[int, ResponseSpec]:
    """Responses of a file with ranges."""
    part = ResponseSpec(
        bytes, generate_examples=False, description="A part.", media_type=media_type
    )
    none = ResponseSpec(None, generate_examples=False, description="The range is behind the end.")
    return {206: part, 416: none} | refuses(401, 403, 404)


def _routes() -> list[Any]:
    """GET and HEAD of the two files; HEAD is left out of the description, which GET gives."""
    found = []
    for path, name, handler, kind in (
        ("lesson.mp4", "getRecordingFile", _film, VIDEO),
        ("audio.mp4", "getRecordingVoice", _voice, AUDIO),
    ):
        for method in ("GET", "HEAD"):
            made = route(
                f"{_RECORDING}/{path}",
                http_method=method,
                operation_id=name if method == "GET" else None,
                include_in_schema=method == "GET",
                act=(Act.WATCH_LESSON, Act.WATCH_SCHOOL_LESSON),
                media_type=kind,
                responses=_ranged(kind),
            )
            found.append(made(handler))
    return found


ROUTES = [
    record,
    recording_consents_now,
    get_recording,
    get_playlist,
    get_init,
    get_segment,
    *_routes(),
]
