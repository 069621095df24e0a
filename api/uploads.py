"""A large body on its way to a file: counted, in time, one a lesson or person, gone afterwards."""

import asyncio
import errno
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio
from litestar import Request
from litestar.exceptions import HTTPException, InternalServerException

from api.house import House
from api.problems import BadBody
from people.refused import Refused
from storage.ingest import Busy, StoreAway
from storage.settings import Settings

# Fifty megabytes over a school's line; everything else has a few seconds (api/security.py).
DEADLINE_S = 180.0


# Each may lie on our disk in full while it comes in and is looked into.
_AT_ONCE = 32


class DiskFull(Refused):
    """Our own disk has no room for a body; it has later, nothing needs a restart."""

    status = 507
    code = "disk_full"


class WrongType(HTTPException):
    """The body is not declared as what this route takes."""

    status_code = 415


def folder_of(settings: Settings) -> Path:
    """Where bodies lie while they are looked at; on the disk of our own data, private to us."""
    return settings.home / "uploads"


def clear(settings: Settings) -> None:
    """Remove what a killed process left."""
    shutil.rmtree(folder_of(settings), ignore_errors=True)


@asynccontextmanager
async def one_at_a_time(house: House, whose: UUID) -> AsyncIterator[None]:
    """Keep a second upload of the same lesson or person out, and too many of all. Raises Busy."""
    if whose in house.uploading or len(house.uploading) >= _AT_ONCE:
        raise Busy
    house.uploading.add(whose)
    try:
        yield
    finally:
        house.uploading.discard(whose)


@asynccontextmanager
async def body_in(
    request: Request[Any, Any, Any],
    settings: Settings,
    *,
    media_type: str,
    max_bytes: int,
    too_large: Callable[[], Exception],
) -> AsyncIterator[tuple[Path, Path]]:
    """The body as a file, and an empty folder for what is made of it; both gone at the end.

    Raises WrongType, `too_large` and BadBody; the first two before a byte is read if they can be.
    """
    if request.content_type[0] != media_type:
        raise WrongType
    if (request.content_length or 0) > max_bytes:
        raise too_large()
    async with place_in(settings) as (file, made):
        await _receive(request, file, max_bytes, too_large)
        yield file, made


@asynccontextmanager
async def place_in(settings: Settings) -> AsyncIterator[tuple[Path, Path]]:
    """Where a file may lie, and an empty folder for what is made of it; both gone at the end."""
    try:
        root = await asyncio.to_thread(_made, folder_of(settings))
    except OSError as error:
        raise no_room(error) from error
    try:
        yield root / "body", root / "made"
    finally:
        with anyio.CancelScope(shield=True):
            await asyncio.to_thread(shutil.rmtree, root, ignore_errors=True)


async def _receive(
    request: Request[Any, Any, Any], file: Path, max_bytes: int, too_large: Callable[[], Exception]
) -> None:
    size = 0
    try:
        async with await anyio.open_file(file, "wb") as out:
            async for chunk in request.stream():
                size += len(chunk)
                if size > max_bytes:
                    raise too_large()
                await out.write(chunk)
    except InternalServerException as gone:  # Litestar's word for a client that hung up
        raise BadBody from gone
    except OSError as error:
        raise no_room(error) from error


def no_room(error: OSError) -> Exception:
    """The refusal for a disk of ours that does not take a file."""
    return DiskFull() if error.errno in {errno.ENOSPC, errno.EDQUOT} else StoreAway()


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(dir=folder))
    (root / "made").mkdir()
    return root
