"""Files of a visit: handed in as one body each, looked at as attachments or clean pictures.

Nothing is held while a body comes in, is looked into or is stored but a file on our own disk: no
connection, no lock. What is given out cannot act: no type of it is guessed, and a browser that
opens it all the same does so in an empty sandbox.
"""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID

from litestar import Request, Response, delete, get, put
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from api import ranges, uploads
from api.db import asked
from api.house import House
from api.problems import refuses
from people import files
from people.files import MAX_NAME, FileLost, FileRefused, FileTooLarge, FoundFile, NewFile
from people.policy import Act
from people.refused import Refused
from people.relations import actor_of
from people.sessions import Caller
from storage.clamd import infected
from storage.file_checks import (
    KINDS,
    MAX_BYTES,
    BadFile,
    DiskFull,
    Fault,
    Judged,
    judge,
    kind_of,
)
from storage.ingest import Busy
from storage.limited_child import ChildLate
from storage.objects import ObjectMissing
from storage.sealed_objects import DamagedObject
from storage.settings import Settings
from telemed import visit_files
from telemed.visit_files import VisitFile

ANY = "application/octet-stream"
SANDBOX = "sandbox; default-src 'none'"
_FILES = "/visits/{visit_id:uuid}/files"
_FILE = f"{_FILES}/{{file_id:uuid}}"


class LengthNeeded(Refused):
    """How long the body is was not said: nobody takes in bytes of no known end."""

    status = 411
    code = "length_needed"


@put(
    _FILE,
    operation_id="addVisitFile",
    act=(Act.ADD_VISIT_FILE, Act.SEE_VISIT),
    responses=refuses(400, 401, 403, 404, 408, 409, 411, 413, 415, 422, 507),
    request_max_body_size=None,
    takes=ANY,
)
async def add_visit_file(
    *,
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    name: Annotated[str, QueryParameter(min_length=1, max_length=MAX_NAME)],
) -> VisitFile:
    """Take a file for the visit; the same id and file again gets the same answer."""
    new = NewFile(file_id, name, request.content_length or 0)
    async with house.transaction(asked(request)) as db:
        begun = await visit_files.begin(db, sender.actor, visit_id, new, now)
    if begun.there is not None:
        return begun.there
    size = _require_fit(request, name)
    async with (
        uploads.one_at_a_time(house, sender.person_id),
        uploads.body_in(
            request, house.settings, media_type=ANY, max_bytes=size, too_large=_too_large
        ) as (body, folder),
    ):
        judged = await _judged(house.settings, body, folder, name)
        return await keep(request, house, sender, visit_id=visit_id, new=new, of=(begun, judged))


async def keep(
    request: Request[Any, Any, Any],
    house: House,
    sender: Caller,
    *,
    visit_id: UUID,
    new: NewFile,
    of: tuple[visit_files.Begun, Judged],
) -> VisitFile:
    """Store what was judged and name it in the visit; not named, nothing of it stays."""
    begun, judged = of
    stored = await files.put(house.objects, begun.data_key, judged)
    committing = False
    try:
        later = house.clock()  # minutes may have passed: rights are judged as they are now
        async with house.transaction() as db:
            actor = await actor_of(db, sender.person_id, later)
        async with house.transaction(asked(request)) as db:
            added = await visit_files.add(db, actor, visit_id, new, stored, later)
            committing = True
    except BaseException as error:
        # Certainly rolled back. Once a commit was begun there may be a row that counts on them:
        # people/lost_files.py finds out.
        if not committing or isinstance(error, Refused):
            await files.take_back(house.objects, stored.object_id)
        raise
    return added


@get(
    _FILES,
    operation_id="listVisitFiles",
    act=(Act.SEE_VISIT_FILES, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def list_visit_files(
    visit_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> list[VisitFile]:
    """The files of a visit, to its doctor and its patient."""
    return await visit_files.visit_files(db, caller.actor, visit_id, now)


@get(
    _FILE,
    operation_id="getVisitFile",
    act=(Act.SEE_VISIT_FILES, Act.SEE_VISIT),
    media_type=ANY,
    responses=refuses(401, 403, 404, 410, 416),
)
async def get_visit_file(
    *,
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Any]:
    """A file: a picture to be shown, anything else to be saved."""
    async with house.transaction(asked(request)) as db:
        found = await visit_files.find(db, sender.actor, visit_id, file_id, now)
    return await _given(request, house, found, str(file_id))


@get(
    f"{_FILE}/preview",
    operation_id="getVisitFilePreview",
    act=(Act.SEE_VISIT_FILES, Act.SEE_VISIT),
    media_type=files.PREVIEW_TYPE,
    responses=refuses(401, 403, 404, 410, 416),
)
async def get_visit_file_preview(
    *,
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> Response[Any]:
    """A small picture of a picture, or of a document's first page."""
    async with house.transaction(asked(request)) as db:
        found = await visit_files.find(db, sender.actor, visit_id, file_id, now, preview=True)
    return await _given(request, house, found, f"{file_id}-preview")


@delete(
    _FILE,
    operation_id="removeVisitFile",
    act=(Act.ADD_VISIT_FILE, Act.SEE_VISIT_FILES, Act.SEE_VISIT),
    responses=refuses(401, 403, 404),
)
async def remove_visit_file(
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
) -> None:
    """Take back what one handed in oneself, while the visit lasts."""
    await visit_files.remove(db, caller.actor, visit_id, file_id, now)


def _require_fit(request: Request[Any, Any, Any], name: str) -> int:
    """The length of a body of a name and size that may be taken; nothing of it is read."""
    kind = kind_of(name)
    if kind is None:
        raise FileRefused(Fault.TYPE_REFUSED)
    size = request.content_length
    if size is None:
        raise LengthNeeded
    if size == 0:
        raise FileRefused(Fault.EMPTY)
    most = KINDS[kind].max_bytes
    if size > most:
        raise FileTooLarge(most >> 20)
    return size


def _too_large() -> FileTooLarge:
    return FileTooLarge(MAX_BYTES >> 20)


async def _judged(settings: Settings, body: Any, folder: Any, name: str) -> Judged:
    """What is kept of a body. Raises as `judge` refuses, ScannerAway, uploads.DiskFull, Busy."""
    if settings.clamd is not None and await infected(settings.clamd, body):
        raise FileRefused(Fault.INFECTED)
    try:
        return await judge(body, name, folder)
    except BadFile as bad:
        raise files.refusal(bad) from bad
    except DiskFull as full:
        raise uploads.DiskFull from full
    except ChildLate as late:
        raise Busy from late


async def _given(
    request: Request[Any, Any, Any], house: House, found: FoundFile, etag: str
) -> Response[Any]:
    try:
        answer = await ranges.answer(
            request,
            lambda start, length: files.read(house.objects, found, start, length),
            size=found.size,
            etag=etag,
            media_type=found.media_type,
        )
    except (ObjectMissing, DamagedObject) as gone:  # of a large file, its end breaks the answer off
        raise FileLost from gone
    way = "inline" if found.picture else "attachment"
    answer.set_header(
        "Content-Disposition", f"{way}; filename*=UTF-8''{quote(found.name, safe='')}"
    )
    answer.set_header("Content-Security-Policy", SANDBOX)
    # A stream takes the route's type for its own otherwise.
    answer.set_header("Content-Type", found.media_type)
    return answer


ROUTES = [
    add_visit_file,
    list_visit_files,
    get_visit_file,
    get_visit_file_preview,
    remove_visit_file,
]
