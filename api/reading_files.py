"""Files of readings: looked at, and then stored, as one body each; the person's own."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from api import uploads
from api.house import House
from api.problems import BadBody, refuses
from devices.measurement import Kind
from devices.reading_files import Options
from people.files import FileTooLarge
from people.policy import Act
from people.sessions import Caller
from telemed import reading_files
from telemed.file_child import Found
from telemed.reading_files import MAX_BYTES, FilePreview, FileStored, ReadingsFileChanged
from telemed.readings import Outcome

ANY = "application/octet-stream"
# Every character may be twelve in an address, and an address has 64 kB.
_OPTIONS = Annotated[str, QueryParameter(max_length=3500)]
_KINDS = Annotated[str, QueryParameter(max_length=400)]
_SHA256 = Annotated[str, QueryParameter(pattern="^[0-9a-f]{64}$")]
_REFUSED = refuses(400, 401, 403, 408, 409, 411, 413, 415, 422, 503, 507)


@post(
    "/my/readings/file",
    operation_id="previewReadingsFile",
    act=Act.ADD_OWN_READING,
    status_code=200,
    responses=_REFUSED,
    request_max_body_size=None,
    takes=ANY,
)
async def preview_readings_file(
    *,
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    options: _OPTIONS = "{}",
    kinds: _KINDS = "",
) -> FilePreview:
    """What is in a file of readings, and what of it would be stored; nothing is."""
    async with _looked(request, sender, house, (options, kinds, now)) as (found, sha256):
        return reading_files.preview(found, sha256)


@post(
    "/my/readings/file/confirm",
    operation_id="storeReadingsFile",
    act=Act.ADD_OWN_READING,
    status_code=200,
    responses=_REFUSED,
    request_max_body_size=None,
    takes=ANY,
)
async def store_readings_file(
    *,
    request: Request[Any, Any, Any],
    sender: NamedDependency[Caller],
    house: NamedDependency[House],
    now: NamedDependency[datetime],
    sha256: _SHA256,
    options: _OPTIONS = "{}",
    kinds: _KINDS = "",
) -> FileStored:
    """Store the readings of the file that was looked at; answered after the last commit."""
    stored = repeated = 0
    async with _looked(request, sender, house, (options, kinds, now)) as (found, seen):
        if seen != sha256:
            raise ReadingsFileChanged
        for portion in reading_files.batches(sender.person_id, found, now):
            applied = await house.readings.submit(portion, lane=portion[0].device.lane)
            new = sum(one.status is Outcome.STORED for one in applied)
            stored += new
            repeated += len(applied) - new
    return FileStored(stored, repeated, found.refused_total, found.left_out)


@asynccontextmanager
async def _looked(
    request: Request[Any, Any, Any],
    sender: Caller,
    house: House,
    said: tuple[str, str, datetime],
) -> AsyncIterator[tuple[Found, str]]:
    """The file as the confined child read it, and its digest; gone at the end."""
    options, kinds, now = said
    reading_files.require_own(sender.actor, sender.person_id, now)
    try:
        told = msgspec.json.decode(options, type=Options)
        chosen = [Kind(kind) for kind in kinds.split(",")] if kinds else None
    except ValueError as error:
        raise BadBody from error
    async with (
        uploads.one_at_a_time(house, sender.person_id),
        uploads.body_in(
            request, house.settings, media_type=ANY, max_bytes=MAX_BYTES, too_large=_too_large
        ) as (body, folder),
    ):
        digest = await asyncio.to_thread(_sha256, body)
        yield await reading_files.look(body, folder, told, chosen, now), digest


def _too_large() -> FileTooLarge:
    return FileTooLarge(MAX_BYTES >> 20)


def _sha256(file: Path) -> str:
    with file.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


ROUTES = [preview_readings_file, store_readings_file]
