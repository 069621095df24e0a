"""ECG files of a visit: looked at first, kept when somebody says so, shown as strips.

Looking stores nothing. What is kept is the file as it came, sealed like every file of a visit
(telemed/visit_files.py: kind "ecg"), and a small picture of its first seconds. Whenever it is read
again, a confined child does so: nothing of a stranger's file is parsed in this process.

EcgFileRefused      422 ecg_file_…   errors: file; params: where
EcgFileChanged      409 ecg_file_changed
"""

import asyncio
import math
from pathlib import Path
from typing import Final

import msgspec

from devices.bad_file import Fault
from devices.ecg.strip import Drawing, to_svg
from devices.ecg_files import Format
from people.files import FileTooLarge
from people.refused import FieldError, Refused
from storage import limited_child
from storage.file_checks import KINDS, Judged, Kind
from storage.ingest import Busy
from storage.limited_child import plain_file
from telemed.ecg_file_child import (
    FOUND,
    MADE,
    MAX_FOUND_BYTES,
    MAX_MADE_BYTES,
    Asked,
    EcgFound,
    FileLead,
    LeadDoubt,
)

WALL_S: Final = 180.0
MAX_BYTES: Final = KINDS[Kind.ECG].max_bytes
_SMALL: Final = "small"
ENDINGS: Final = {
    Format.WFDB: "zip",
    Format.EDF: "edf",
    Format.DICOM: "dcm",
    Format.AECG: "xml",
    Format.SCP: "scp",
    Format.ATC: "atc",
    Format.APPLE: "csv",
}
_CODES: Final = {
    Fault.EMPTY: "ecg_file_empty",
    Fault.TOO_LARGE: "ecg_file_too_large",
    Fault.UNKNOWN_FORMAT: "ecg_file_unknown",
    Fault.TRUNCATED: "ecg_file_truncated",
    Fault.NOT_READ: "ecg_file_not_read",
    Fault.NO_ECG: "ecg_file_no_ecg",
}


class EcgFileRefused(Refused):
    """No ECG can be read out of this file."""

    status = 422
    code = "ecg_file_broken"

    def __init__(self, fault: Fault, where: str = "") -> None:
        self.code = _CODES.get(fault, "ecg_file_broken")  # type: ignore[misc] # one refusal, many codes
        super().__init__((FieldError("file", self.code, {"where": where}),), where=where)


class EcgFileChanged(Refused):
    """Not the file that was looked at."""

    status = 409
    code = "ecg_file_changed"


class EcgFilePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What is in an ECG file. `started_at`: by the clock of the recorder; `zoned`: it has a zone.

    `acceptable`: whether twelve leads can be read; None for other leads, which nobody judged.
    `strip`: a picture of it, true to the millimetre, as SVG, beginning at `from_s`; of so many
    leads are `drawn`.
    """

    sha256: str
    format: Format
    leads: list[FileLead]
    rate_hz: float
    seconds: float
    started_at: str | None
    zoned: bool
    marks: int
    acceptable: bool | None
    doubts: list[LeadDoubt]
    from_s: float
    drawn: int
    strip: str


async def look(file: Path, folder: Path, asked: Asked) -> EcgFound:
    """Read a file in a confined child; `folder` is the caller's.

    Raises EcgFileRefused, and Busy when the house has no time for it.
    """
    said = msgspec.json.encode(asked).decode()
    try:
        code = await limited_child.run_forked(
            "telemed.ecg_file_child", str(file), str(folder), said, folder=folder, wall_s=WALL_S
        )
    except limited_child.ChildLate as late:
        raise Busy from late
    if code < 0:  # its time was up
        raise EcgFileRefused(Fault.TOO_LARGE)
    if code != 0:
        raise EcgFileRefused(Fault.DAMAGED)
    try:
        left = await asyncio.to_thread(plain_file, folder / FOUND, MAX_FOUND_BYTES)
        found = msgspec.json.decode(left, type=EcgFound)
    except (OSError, ValueError) as odd:
        raise EcgFileRefused(Fault.DAMAGED) from odd
    if found.fault is not None:
        raise EcgFileRefused(found.fault, found.where[:40])
    if found.format not in set(Format) or found.drawing is None:
        raise EcgFileRefused(Fault.DAMAGED)
    return found


async def preview(found: EcgFound, sha256: str) -> EcgFilePreview:
    """Give what a page shows of it."""
    at = found.started_at
    if not all(math.isfinite(one) for one in (found.rate_hz, found.seconds, found.from_s)):
        raise EcgFileRefused(Fault.DAMAGED)
    return EcgFilePreview(
        sha256=sha256,
        format=Format(found.format),
        leads=found.leads,
        rate_hz=found.rate_hz,
        seconds=found.seconds,
        started_at=None if at is None else at.isoformat(),
        zoned=at is not None and at.tzinfo is not None,
        marks=found.marks,
        acceptable=found.acceptable,
        doubts=found.doubts,
        from_s=found.from_s,
        drawn=found.drawn,
        strip=await asyncio.to_thread(to_svg, drawing_of(found)),
    )


def drawing_of(found: EcgFound) -> Drawing:
    """Give the strip that was asked for. Raises EcgFileRefused."""
    if found.drawing is None:
        raise EcgFileRefused(Fault.DAMAGED)
    return found.drawing


async def judged(found: EcgFound, file: Path, folder: Path) -> Judged:
    """What is kept of a file: all of it, and a small picture. Raises EcgFileRefused.

    The picture has no words, so that it is for readers of every language.
    """
    small = folder / _SMALL
    picture = to_svg(drawing_of(found)).encode()

    def write() -> int:
        with small.open("xb") as out:  # the folder was a stranger's file's child's
            out.write(picture)
        return file.stat().st_size

    size = await asyncio.to_thread(write)
    return Judged(Kind.ECG, file, size, small, len(picture))


async def written(folder: Path) -> Path:
    """Give the recording in the format that was asked for. Raises EcgFileRefused."""
    made = folder / MADE
    try:
        await asyncio.to_thread(plain_file, made, MAX_MADE_BYTES, 1)
    except (OSError, ValueError) as odd:
        raise EcgFileRefused(Fault.DAMAGED) from odd
    return made


def named(name: str, form: str) -> str:
    """The name of a file, with the ending of what it is."""
    base = name.rpartition(".")[0] or name
    return f"{base}.{ENDINGS[Format(form)]}"


def too_large() -> FileTooLarge:
    """The refusal for more bytes than are taken."""
    return FileTooLarge(MAX_BYTES >> 20)
