"""Kept ECG files read again for whoever asks: as a strip, as a sheet, in another format.

A file lies on our own disk for that long, and a confined child reads it. Who asks for many waits in
a line of their own.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote
from uuid import uuid5

import anyio
import msgspec
from litestar import Response
from sqlalchemy.ext.asyncio import AsyncSession

from api import uploads
from api.files import SANDBOX
from api.house import House
from devices.ecg.strip_pdf import to_pdf
from devices.ecg_files import Format
from people import files
from people.files import FileLost, FoundFile
from people.persons import Persons
from people.sentences import decimal, sentence
from people.sessions import Caller
from storage.objects import ObjectMissing
from storage.sealed_objects import DamagedObject
from telemed import ecg_files
from telemed.ecg_file_child import Asked, EcgFound, Window
from telemed.ecg_files import EcgFilePreview

PDF: Final = "application/pdf"
PIECE: Final = 1 << 18


async def window(  # noqa: PLR0917 - for whom, and what of the file at which scale
    db: AsyncSession, sender: Caller, from_s: float, seconds: float, speed: str, gain: str
) -> Window:
    """What is asked for of a file, its scale in the reader's words."""
    reader = await db.get(Persons, sender.person_id)
    language = reader.language if reader else "ru"
    said = {"speed": decimal(language, float(speed)), "gain": gain}
    return Window(
        from_s=from_s,
        seconds=seconds,
        speed_mm_s=float(speed),
        gain_mm_mv=float(gain),
        scale=sentence(language, "visit.ecg_scale", said),
    )


async def strip(house: House, sender: Caller, kept: FoundFile, window: Window) -> EcgFilePreview:
    """What is in a kept file, with a strip of it. Raises EcgFileRefused, FileLost, as all here."""
    async with _read(house, sender, kept, Asked(window=window)) as (_, found, sha256):
        return await ecg_files.preview(found, sha256)


async def sheet(house: House, sender: Caller, kept: FoundFile, window: Window) -> Response[bytes]:
    """A strip of a kept file on its pages."""
    window = msgspec.structs.replace(window, caption=(kept.name,))
    async with _read(house, sender, kept, Asked(window=window)) as (_, found, _):
        pdf = await asyncio.to_thread(to_pdf, ecg_files.drawing_of(found))
    name = f"{kept.name.rpartition('.')[0]}.pdf"
    return Response(pdf, media_type=PDF, headers=saved_as(name))


@asynccontextmanager
async def _read(
    house: House, sender: Caller, kept: FoundFile, said: Asked
) -> AsyncIterator[tuple[Path, EcgFound, str]]:
    """A kept file, read by the child; what lay on our disk is gone at the end.

    Who asks for many waits in a line of their own. Raises TooManyAttempts, Busy.
    """
    async with uploads.place_in(house.settings) as (body, folder):
        async with house.ecg_reads.turn_of(str(sender.person_id)):
            sha256 = await _fetched(house, kept, body)
            found = await ecg_files.look(body, folder, said)
        yield folder, found, sha256


async def _fetched(house: House, kept: FoundFile, body: Path) -> str:
    digest = hashlib.sha256()
    try:
        async with await anyio.open_file(body, "wb") as out:
            async for piece in files.read(house.objects, kept, 0, kept.size):
                digest.update(piece)
                await out.write(piece)
    except (ObjectMissing, DamagedObject) as gone:
        raise FileLost from gone
    except OSError as error:
        raise uploads.no_room(error) from error
    return digest.hexdigest()


async def converted(
    house: House, sender: Caller, kept: FoundFile, wanted: Format
) -> AsyncGenerator[bytes, None]:
    """A kept file in another format, piece by piece.

    It lies on our disk for as long as the way to the reader takes: one a person, and not too many
    of all. Raises Busy.
    """
    whose = uuid5(sender.person_id, "converted")
    async with (
        uploads.one_at_a_time(house, whose),
        _read(house, sender, kept, Asked(write=wanted)) as (folder, _, _),
    ):
        made = await ecg_files.written(folder)
        async with await anyio.open_file(made, "rb") as opened:
            while piece := await opened.read(PIECE):
                yield piece


async def behind(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """All pieces again, after the first was taken to see whether there are any."""
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece


def saved_as(name: str) -> dict[str, str]:
    """Headers of what a browser saves and does not show."""
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Content-Security-Policy": SANDBOX,
    }
