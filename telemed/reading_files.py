"""Readings out of a file that a person exported: looked at first, stored when they say so.

Looking stores nothing. What is stored goes through the ingest writer as everything does, from a
device of its own a person ("file"), numbered by what each reading says: the same file again, or
one that overlaps, stores nothing twice.

ReadingsFileRefused     422 readings_file_…   errors: file; params: where
ReadingsFileChanged     409 readings_file_changed
"""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

import msgspec

from devices.bad_file import Fault
from devices.measurement import BadMeasurement, Kind, Measurement, check
from devices.reading_files import FileRow, Options
from devices.reading_files.csv_file import Column
from people.device_tokens import FILE, hand_of
from people.policy import Act, Actor, Thing, require
from people.refused import FieldError, Refused
from storage import limited_child
from storage.ingest import Busy
from storage.limited_child import plain_file
from telemed.file_child import FOUND, MAX_FOUND_BYTES, Asked, Found, KindFound
from telemed.readings import Incoming

WALL_S: Final = 240.0
MAX_BYTES: Final = 200 << 20
BATCH: Final = 1000
_SHOWN: Final = 20
_CODES: Final = {
    Fault.EMPTY: "readings_file_empty",
    Fault.TOO_LARGE: "readings_file_too_large",
    Fault.UNKNOWN_FORMAT: "readings_file_unknown",
    Fault.TRUNCATED: "readings_file_truncated",
    Fault.NOT_READ: "readings_file_not_read",
    Fault.NO_ECG: "readings_file_unknown",
    Fault.NO_READINGS: "readings_file_no_readings",
    Fault.NOT_TEXT: "readings_file_not_text",
    Fault.NO_COLUMNS: "readings_file_no_columns",
}


class ReadingsFileRefused(Refused):
    """Nothing can be read out of this file."""

    status = 422
    code = "readings_file_broken"

    def __init__(self, fault: Fault, where: str = "") -> None:
        self.code = _CODES.get(fault, "readings_file_broken")  # type: ignore[misc] # one refusal, many codes
        params = {"where": where}
        super().__init__((FieldError("file", self.code, params),), **params)


class ReadingsFileChanged(Refused):
    """Not the file that was looked at."""

    status = 409
    code = "readings_file_changed"


class FileRowRefused(msgspec.Struct, frozen=True):
    """A row that is no reading, and why; `place` is a line, or the number of an entry."""

    place: int
    code: str
    field: str
    params: dict[str, str | float]


class FileReading(msgspec.Struct, frozen=True):
    """A reading of the file, as it would be stored."""

    place: int
    kind: Kind
    taken_at: datetime
    values: dict[str, float]
    unit: str
    flags: list[str]


class FilePreview(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a file. `columns_needed`: nobody can tell what its columns are but who made it.

    `left_out`: readings beyond the newest that are taken at once.
    """

    sha256: str
    format: str
    header: list[str]
    columns: list[Column]
    columns_needed: bool
    kinds: list[KindFound]
    readings: int
    left_out: int
    newest: list[FileReading]
    refused: list[FileRowRefused]
    refused_total: int


class FileStored(msgspec.Struct, frozen=True):
    """What became of a file: `repeated` were there before."""

    stored: int
    repeated: int
    refused_total: int
    left_out: int


def require_own(actor: Actor, person_id: UUID, now: datetime) -> None:
    """Refuse who may not add readings of this person. Raises Forbidden."""
    require(actor, Act.ADD_OWN_READING, Thing(subject_id=person_id), now)


async def look(
    file: Path, folder: Path, options: Options, kinds: list[Kind] | None, now: datetime
) -> Found:
    """Read a file in a confined child; `folder` is the caller's.

    Raises ReadingsFileRefused, and Busy when the house has no time for it.
    """
    asked = msgspec.json.encode(Asked(options, kinds, now)).decode()
    arguments = (str(file), str(folder), asked)
    try:
        code = await limited_child.run_forked(
            "telemed.file_child", *arguments, folder=folder, wall_s=WALL_S
        )
    except limited_child.ChildLate as late:
        raise Busy from late
    if code < 0:  # its time was up
        raise ReadingsFileRefused(Fault.TOO_LARGE)
    if code != 0:
        raise ReadingsFileRefused(Fault.DAMAGED)
    try:
        raw = await asyncio.to_thread(plain_file, folder / FOUND, MAX_FOUND_BYTES)
        found = msgspec.json.decode(raw, type=Found)
    except (OSError, ValueError) as odd:  # msgspec's errors are ValueErrors
        raise ReadingsFileRefused(Fault.DAMAGED) from odd
    if found.fault is not None and found.fault is not Fault.NO_COLUMNS:
        raise ReadingsFileRefused(found.fault, found.where)
    return found


def preview(found: Found, sha256: str) -> FilePreview:
    """Give what a page shows of it."""
    newest = [row for row in reversed(found.readings[-_SHOWN:]) if row.measurement is not None]
    return FilePreview(
        sha256=sha256,
        format=found.format,
        header=found.header,
        columns=found.columns,
        columns_needed=found.fault is Fault.NO_COLUMNS,
        kinds=found.kinds,
        readings=len(found.readings),
        left_out=found.left_out,
        newest=[_shown(row.place, row.measurement) for row in newest if row.measurement],
        refused=[_refused(row) for row in found.refused],
        refused_total=found.refused_total,
    )


def batches(person_id: UUID, found: Found, now: datetime) -> Iterator[list[Incoming]]:
    """Give what is to be stored, in portions. Raises ReadingsFileRefused."""
    if found.fault is not None:
        raise ReadingsFileRefused(found.fault, found.where)
    hand = hand_of(person_id, tuple(kind.value for kind in Kind), now, name=FILE)
    rows = [row.measurement for row in found.readings if row.measurement is not None]
    for at in range(0, len(rows), BATCH):
        portion = []
        for one in rows[at : at + BATCH]:
            try:
                check(one, now)
                # A flag of the clock now would make another reading of it another day.
                checked = check(one, one.taken_at)
                portion.append(Incoming(hand, checked, now, by_hand=True))
            except BadMeasurement as bad:  # the child judged them: it was not ours any more
                raise ReadingsFileRefused(Fault.DAMAGED) from bad
        yield portion


def _shown(place: int, one: Measurement) -> FileReading:
    flags = [flag.value for flag in one.flags]
    return FileReading(place, one.kind, one.taken_at, one.values, one.unit, flags)


def _refused(row: FileRow) -> FileRowRefused:
    params = {
        str(name)[:40]: value if isinstance(value, int | float) else str(value)[:200]
        for name, value in list(row.params.items())[:8]
    }
    return FileRowRefused(row.place, row.code[:60], row.field[:60], params)
