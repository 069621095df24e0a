"""ECG files of a visit: looked at, and then kept, as one body each; read again as strips, on the
visit's page and in the patient's record.

The list, the file itself, its small picture and its removal are those of any file of a visit
(api/files.py). A strip is drawn anew from the file for each asker, by a confined child.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from api import ecg_reads, uploads
from api.db import asked
from api.ecg_reads import PDF
from api.files import ANY, LengthNeeded, keep
from api.house import House
from api.problems import refuses
from devices.ecg_files import Format
from people.files import MAX_NAME, FileRefused, NewFile
from people.policy import Act
from people.sessions import Caller
from storage.clamd import infected
from storage.file_checks import Fault, Kind
from telemed import ecg_files, ecg_records, visit_files
from telemed.ecg_file_child import MOST_S, Asked, EcgFound
from telemed.ecg_files import MAX_BYTES, EcgFileChanged, EcgFilePreview, too_large
from telemed.ecg_records import RecordEcgFile
from telemed.visit_files import VisitFile

_FILES = "/visits/{visit_id:uuid}/ecg-files"
_FILE = f"{_FILES}/{{file_id:uuid}}"
_RECORD = "/records/{person_id:uuid}/ecg-files"
_SHA256 = Annotated[str, QueryParameter(pattern="^[0-9a-f]{64}$")]
_FROM = Annotated[float, QueryParameter(ge=0, le=1e7)]
_SECONDS = Annotated[float, QueryParameter(ge=1, le=MOST_S)]
_SPEED = Annotated[str, QueryParameter(pattern=r"^(12\.5|25|50)$")]
_GAIN = Annotated[str, QueryParameter(pattern="^(5|10|20)$")]
_REFUSED = refuses(400, 401, 403, 404, 408, 409, 411, 413, 415, 422, 503, 507)
_READ = refuses(400, 401, 403, 404, 410, 422, 429, 503, 507)


@post(
    _FILES,
    operation_id="previewEcgFile",
    act=(Act.ADD_VISIT_FILE, Act.SEE_VISIT),
    status_code=200,
    responses=_REFUSED,
    request_max_body_size=None,
    takes=ANY,
)
async def preview_ecg_file(
    *,
    visit_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
) -> EcgFilePreview:
    """What is in an ECG file, with its first seconds as a strip; nothing is kept."""
    async with house.transaction(asked(request)) as db:
        await visit_files.require_adding(db, sender.actor, visit_id, now)
    async with _looked(request, sender, house) as (_, _, found, sha256):
        return await ecg_files.preview(found, sha256)


@put(
    _FILE,
    operation_id="addEcgFile",
    act=(Act.ADD_VISIT_FILE, Act.SEE_VISIT),
    responses=_REFUSED,
    request_max_body_size=None,
    takes=ANY,
)
async def add_ecg_file(
    *,
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    name: Annotated[str, QueryParameter(min_length=1, max_length=MAX_NAME)],
    sha256: _SHA256,
) -> VisitFile:
    """Keep the file that was looked at; the same id and file again gets the same answer."""
    new = NewFile(file_id, name, request.content_length or 0)
    async with house.transaction(asked(request)) as db:
        begun = await visit_files.begin(db, sender.actor, visit_id, new, now)
    if begun.there is not None:
        return begun.there
    async with _looked(request, sender, house) as (body, folder, found, seen):
        if seen != sha256:
            raise EcgFileChanged
        judged = await ecg_files.judged(found, body, folder)
        new = NewFile(file_id, ecg_files.named(name, found.format), new.received)
        return await keep(request, house, sender, visit_id=visit_id, new=new, of=(begun, judged))


@get(
    _FILE,
    operation_id="getEcgFile",
    act=(Act.SEE_VISIT_FILES, Act.SEE_VISIT),
    responses=_READ,
)
async def get_ecg_file(
    *,
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    from_s: _FROM = 0.0,
    seconds: _SECONDS = 10.0,
    speed_mm_s: _SPEED = "25",
    gain_mm_mv: _GAIN = "10",
) -> EcgFilePreview:
    """What is in a kept ECG file, with a strip of it."""
    async with house.transaction(asked(request)) as db:
        kept = await visit_files.find(db, sender.actor, visit_id, file_id, now, kind=Kind.ECG)
        window = await ecg_reads.window(db, sender, from_s, seconds, speed_mm_s, gain_mm_mv)
    return await ecg_reads.strip(house, sender, kept, window)


@get(
    f"{_FILE}/print",
    operation_id="printEcgFile",
    act=(Act.SEE_VISIT_FILES, Act.SEE_VISIT),
    media_type=PDF,
    responses=_READ,
)
async def print_ecg_file(
    *,
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    from_s: _FROM = 0.0,
    seconds: _SECONDS = 10.0,
    speed_mm_s: _SPEED = "25",
    gain_mm_mv: _GAIN = "10",
) -> Response[bytes]:
    """A strip of a kept ECG file, true to the millimetre on A4."""
    async with house.transaction(asked(request)) as db:
        kept = await visit_files.find(db, sender.actor, visit_id, file_id, now, kind=Kind.ECG)
        window = await ecg_reads.window(db, sender, from_s, seconds, speed_mm_s, gain_mm_mv)
    return await ecg_reads.sheet(house, sender, kept, window)


@get(
    f"{_FILE}/recording",
    operation_id="convertEcgFile",
    act=(Act.SEE_VISIT_FILES, Act.SEE_VISIT),
    media_type=ANY,
    responses=_READ,
)
async def convert_ecg_file(
    *,
    visit_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    form: Annotated[str, QueryParameter(pattern="^(edf|wfdb)$")],
) -> Stream:
    """A kept ECG file as EDF+ (`edf`) or as an archive of WFDB (`wfdb`); nobody's name is in it."""
    async with house.transaction(asked(request)) as db:
        kept = await visit_files.find(db, sender.actor, visit_id, file_id, now, kind=Kind.ECG)
    wanted = Format(form)
    pieces = ecg_reads.converted(house, sender, kept, wanted)
    first = await anext(pieces)  # whatever there is to refuse is refused before an answer began
    name = ecg_files.named(kept.name, wanted)
    return Stream(ecg_reads.behind(first, pieces), media_type=ANY, headers=ecg_reads.saved_as(name))


@get(
    _RECORD,
    operation_id="listRecordEcgFiles",
    act=Act.SEE_RECORD,
    responses=refuses(400, 401, 404),
)
async def list_record_ecg_files(
    person_id: FromPath[UUID],
    caller: NamedDependency[Caller],
    db: NamedDependency[AsyncSession],
    now: NamedDependency[datetime],
    organisation_id: FromQuery[UUID | None] = None,
) -> list[RecordEcgFile]:
    """ECG files of a person's visits, as far as the record is open to the caller."""
    return await ecg_records.ecg_files(db, caller.actor, person_id, organisation_id, now)


@get(
    f"{_RECORD}/{{file_id:uuid}}",
    operation_id="getRecordEcgFile",
    act=Act.SEE_RECORD,
    responses=_READ,
)
async def get_record_ecg_file(
    *,
    person_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    organisation_id: FromQuery[UUID | None] = None,
    from_s: _FROM = 0.0,
    seconds: _SECONDS = 10.0,
    speed_mm_s: _SPEED = "25",
    gain_mm_mv: _GAIN = "10",
) -> EcgFilePreview:
    """What is in an ECG file of a record, with a strip of it."""
    async with house.transaction(asked(request)) as db:
        kept = await ecg_records.find(db, sender.actor, person_id, organisation_id, file_id, now)
        window = await ecg_reads.window(db, sender, from_s, seconds, speed_mm_s, gain_mm_mv)
    return await ecg_reads.strip(house, sender, kept, window)


@get(
    f"{_RECORD}/{{file_id:uuid}}/print",
    operation_id="printRecordEcgFile",
    act=Act.SEE_RECORD,
    media_type=PDF,
    responses=_READ,
)
async def print_record_ecg_file(
    *,
    person_id: FromPath[UUID],
    file_id: FromPath[UUID],
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    organisation_id: FromQuery[UUID | None] = None,
    from_s: _FROM = 0.0,
    seconds: _SECONDS = 10.0,
    speed_mm_s: _SPEED = "25",
    gain_mm_mv: _GAIN = "10",
) -> Response[bytes]:
    """A strip of an ECG file of a record, true to the millimetre on A4."""
    async with house.transaction(asked(request)) as db:
        kept = await ecg_records.find(db, sender.actor, person_id, organisation_id, file_id, now)
        window = await ecg_reads.window(db, sender, from_s, seconds, speed_mm_s, gain_mm_mv)
    return await ecg_reads.sheet(house, sender, kept, window)


@asynccontextmanager
async def _looked(
    request: Request[Any, Any, Any], sender: Caller, house: House
) -> AsyncIterator[tuple[Path, Path, EcgFound, str]]:
    """The file as the confined child read it, and its digest; gone at the end."""
    if request.content_length is None:
        raise LengthNeeded
    async with (
        uploads.one_at_a_time(house, sender.person_id),
        uploads.body_in(
            request, house.settings, media_type=ANY, max_bytes=MAX_BYTES, too_large=too_large
        ) as (body, folder),
    ):
        if house.settings.clamd is not None and await infected(house.settings.clamd, body):
            raise FileRefused(Fault.INFECTED)
        sha256 = await asyncio.to_thread(_sha256, body)
        yield body, folder, await ecg_files.look(body, folder, Asked()), sha256


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


ROUTES = [
    preview_ecg_file,
    add_ecg_file,
    get_ecg_file,
    print_ecg_file,
    convert_ecg_file,
    list_record_ecg_files,
    get_record_ecg_file,
    print_record_ecg_file,
]
