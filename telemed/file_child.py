"""The child that reads a file of readings: `python -I -m telemed.file_child FILE FOLDER OPTIONS`.

Confined before it opens the file (storage/confine.py). What it found lies in FOLDER as JSON: what
may be stored, why the rest may not, and counts of what there was too much of.
"""

import heapq
import os
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from devices.bad_file import BadFile, Fault
from devices.measurement import BadMeasurement, Kind, check
from devices.reading_files import FileRow, Options, format_of, read
from devices.reading_files.csv_file import Column, guess, header_of
from devices.reading_files.reading import MAX_TEXT_BYTES, Format
from storage.confine import Limits, confine
from storage.limited_child import READY

FOUND: Final = "found"
MAX_READINGS: Final = 20_000
MAX_REFUSED: Final = 200
# A file may begin with years that are too old: every reason has its share.
MAX_OF_REASON: Final = 50
MAX_FOUND_BYTES: Final = 16 << 20
LIMITS: Final = Limits(cpu_s=120, memory_bytes=768 << 20, file_bytes=MAX_FOUND_BYTES)


class Asked(msgspec.Struct, frozen=True):
    """What is asked of the child; `now` is the caller's clock."""

    options: Options
    kinds: list[Kind] | None
    now: datetime


class KindFound(msgspec.Struct, frozen=True):
    """How many readings of a kind there are, and of which time."""

    kind: Kind
    count: int
    first: datetime
    last: datetime


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What is in a file. `left_out`: sound readings beyond the newest MAX_READINGS."""

    fault: Fault | None = None
    where: str = ""
    format: str = ""
    header: list[str] = []
    columns: list[Column] = []
    kinds: list[KindFound] = []
    readings: list[FileRow] = []
    left_out: int = 0
    refused: list[FileRow] = []
    refused_total: int = 0


class _Sieve:
    """Rows as they come: what is believed, the newest kept; what is not, counted and shown."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._newest: list[tuple[datetime, int, FileRow]] = []
        self._seen: set[int] = set()
        self._count: Counter[Kind] = Counter()
        self._times: dict[Kind, tuple[datetime, datetime]] = {}
        self._reasons: Counter[str] = Counter()
        self.refused: list[FileRow] = []
        self.refused_total = 0

    def take(self, row: FileRow) -> None:
        """Judge a row."""
        one = row.measurement
        if one is None:
            self._refuse(row, int(row.params.get("count", 1)))
            return
        try:
            check(one, self._asked.now)
        except BadMeasurement as bad:
            self._refuse(
                FileRow(place=row.place, code=bad.code, field=bad.field, params=bad.params), 1
            )
            return
        if one.sequence in self._seen:
            return  # the same reading twice in one file
        self._seen.add(one.sequence)
        self._count[one.kind] += 1
        first, last = self._times.get(one.kind, (one.taken_at, one.taken_at))
        self._times[one.kind] = (min(first, one.taken_at), max(last, one.taken_at))
        if self._asked.kinds is not None and one.kind not in self._asked.kinds:
            return
        heapq.heappush(self._newest, (one.taken_at, one.sequence, row))
        if len(self._newest) > MAX_READINGS:
            heapq.heappop(self._newest)

    def _refuse(self, row: FileRow, count: int) -> None:
        self.refused_total += count
        self._reasons[row.code] += 1
        if self._reasons[row.code] <= MAX_OF_REASON and len(self.refused) < MAX_REFUSED:
            self.refused.append(row)

    def found(self, form: str, header: list[str], columns: list[Column]) -> Found:
        """All of it."""
        chosen = self._asked.kinds
        wanted = sum(n for kind, n in self._count.items() if chosen is None or kind in chosen)
        return Found(
            format=form,
            header=header,
            columns=columns,
            kinds=[
                KindFound(kind, count, *self._times[kind])
                for kind, count in sorted(self._count.items())
            ],
            readings=[row for _, _, row in sorted(self._newest, key=lambda one: one[:2])],
            left_out=wanted - len(self._newest),
            refused=self.refused,
            refused_total=self.refused_total,
        )


def look(file: Path, asked: Asked) -> Found:
    """Read the file; a file at fault is an answer as well."""
    form = ""
    header: list[str] = []
    columns: list[Column] = []
    try:
        with file.open("rb") as data:
            kind = format_of(data.read(4096))
            form = "" if kind is None else kind.value
            data.seek(0)
            if kind is Format.CSV:
                header, columns = _columns(data.read(MAX_TEXT_BYTES + 1), asked.options)
                data.seek(0)
            sieve = _Sieve(asked)
            for row in read(data, asked.options):
                sieve.take(row)
    except BadFile as bad:
        return Found(fault=bad.code, where=bad.where, format=form, header=header, columns=columns)
    return sieve.found(form, header, columns)


def _columns(data: bytes, options: Options) -> tuple[list[str], list[Column]]:
    if len(data) > MAX_TEXT_BYTES:
        raise BadFile(Fault.TOO_LARGE, "bytes")
    header = [name[:100] for name in header_of(data)]
    return header, guess(header) if options.columns is None else options.columns


def load() -> None:
    """Nothing is left to load: what reads is imported above."""


def main() -> None:
    """Confine, then look."""
    file, folder = Path(sys.argv[1]), Path(sys.argv[2])
    asked = msgspec.json.decode(sys.argv[3], type=Asked)
    confine(LIMITS, reads=[file], writes=folder)
    (folder / READY).touch()
    (folder / FOUND).write_bytes(msgspec.json.encode(look(file, asked)))
    # No tidying up: hundreds of thousands of small objects take their time.
    os._exit(0)


if __name__ == "__main__":
    main()
