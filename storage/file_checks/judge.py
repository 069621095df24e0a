"""Judging a file in a child process, and taking what the child left."""

import asyncio
import errno
from pathlib import Path
from typing import Final

import msgspec

from storage import limited_child
from storage.confine import Limits
from storage.file_checks.faults import NO_ROOM, BadFile, DiskFull, Fault
from storage.file_checks.kinds import (
    KINDS,
    MAX_BYTES,
    MAX_ENTRIES,
    MAX_PDF_PAGES,
    MAX_PIXELS,
    MAX_PREVIEW_BYTES,
    MAX_SOUND_S,
    MAX_UNPACKED_BYTES,
    REWRITTEN,
    Kind,
    kind_of,
)
from storage.limited_child import plain_file

WALL_S: Final = 60.0
# 64 megapixels are 256 MB as pixels with transparency, and there are copies while one is turned.
# A picture that is written anew may grow.
MAX_KEPT_BYTES: Final = 2 * MAX_BYTES
LIMITS: Final = Limits(cpu_s=30, memory_bytes=1536 << 20, file_bytes=MAX_KEPT_BYTES)
KEPT, PREVIEW, VERDICT = "kept", "preview", "verdict"
_HEADS = {
    Kind.JPEG: b"\xff\xd8\xff",
    Kind.PNG: b"\x89PNG\r\n\x1a\n",
    Kind.WEBP: b"RIFF",
    Kind.M4A: b"\0\0\0",  # the length of its first box
    Kind.MP3: b"\xff",
    Kind.OGG: b"OggS",
}
_PARAMS = {
    Fault.TOO_MANY_PIXELS: {"max": MAX_PIXELS // 1_000_000},
    Fault.TOO_MANY_PAGES: {"max": MAX_PDF_PAGES},
    Fault.TOO_LONG: {"max_minutes": MAX_SOUND_S // 60},
    Fault.UNPACKS_TOO_LARGE: {"max_mb": MAX_UNPACKED_BYTES >> 20, "max_parts": MAX_ENTRIES},
}


class Judged(msgspec.Struct, frozen=True):
    """What is kept: the file itself or a clean copy, its kind by content, perhaps a small picture.

    `kept` and `preview` are in the folder that the caller gave and removes, or the file it gave.
    """

    kind: Kind
    kept: Path
    size: int
    preview: Path | None
    preview_size: int | None


class Verdict(msgspec.Struct, frozen=True):
    """What the child found out."""

    kind: Kind
    rewritten: bool
    preview: bool


async def judge(file: Path, name: str, folder: Path, *, wall_s: float = WALL_S) -> Judged:
    """Judge the file that was handed in as `name`; `folder` is the caller's, and empty.

    Raises BadFile, DiskFull, ChildAway, ChildLate.
    """
    said = await asyncio.to_thread(_before, file, name)
    arguments = (str(file), str(folder), said.value)
    code = await limited_child.run_forked(
        "storage.file_checks.child", *arguments, folder=folder, wall_s=wall_s
    )
    return await asyncio.to_thread(_taken, file, folder, code)


def _before(file: Path, name: str) -> Kind:
    """Refuse what no parser need see."""
    said = kind_of(name)
    if said is None:
        raise BadFile(Fault.TYPE_REFUSED)
    size = file.stat().st_size
    if size == 0:
        raise BadFile(Fault.EMPTY)
    most = KINDS[said].max_bytes
    if size > most:
        raise BadFile(Fault.TOO_LARGE, max_mb=most >> 20)
    return said


def _taken(file: Path, folder: Path, code: int) -> Judged:
    if code == NO_ROOM:
        raise DiskFull
    if code in set(Fault):
        fault = Fault(code)
        raise BadFile(fault, **_PARAMS.get(fault, {}))
    if code != 0:  # out of the processor's time or of memory, or crashed
        raise BadFile(Fault.BROKEN)
    try:
        verdict = msgspec.json.decode(plain_file(folder / VERDICT, 1000), type=Verdict)
        return _judged(verdict, file, folder)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise DiskFull from error
        raise BadFile(Fault.BROKEN) from error
    except ValueError as odd:  # msgspec's errors are ValueErrors
        raise BadFile(Fault.BROKEN) from odd


def _judged(verdict: Verdict, file: Path, folder: Path) -> Judged:
    """The files of a verdict, if they are what it says. Raises OSError, ValueError."""
    if verdict.rewritten is not (verdict.kind in REWRITTEN):
        raise ValueError(verdict.kind)
    kept = folder / KEPT if verdict.rewritten else file
    if verdict.rewritten:
        head = plain_file(kept, MAX_KEPT_BYTES, 12)
        if not head.startswith(_HEADS[verdict.kind]):
            raise ValueError(KEPT)
    preview = folder / PREVIEW if verdict.preview else None
    if preview is not None:
        head = plain_file(preview, MAX_PREVIEW_BYTES, 12)
        if head[:4] != b"RIFF" or head[8:] != b"WEBP":
            raise ValueError(PREVIEW)
    return Judged(
        kind=verdict.kind,
        kept=kept,
        size=kept.stat().st_size,
        preview=preview,
        preview_size=preview.stat().st_size if preview else None,
    )
