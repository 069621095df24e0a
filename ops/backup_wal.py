"""What a place holds behind a backup: segments of the write-ahead log, and lists of objects.

A segment is put only after a sweep of the objects that began when it was closed already: whatever
rows the log brings back, their objects are in a list.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self

import msgspec

from ops.backup_objects import entries_of
from ops.backup_place import Place
from ops.children import Cannot
from storage.backup_format import Kit, Manifest, ObjectEntry, inflated, unseal

WAL, SWEEPS = "wal", "sweeps"
LATEST = "latest"
STAMP = "%Y%m%dT%H%M%S.%fZ"
# A timeline, and two halves of a number whose lower one has 256 values of 16 MB each.
_SEGMENT = re.compile(r"([0-9A-F]{8})([0-9A-F]{8})000000([0-9A-F]{2})-(\S+)")


class Archived(msgspec.Struct, frozen=True):
    """A segment of the log in a place."""

    place: Place
    name: str  # where it lies, and what it was sealed as
    segment: str
    closed_at: datetime

    def open(self, kit: Kit) -> Iterator[bytes]:
        """Its bytes. Raises BackupError."""
        return inflated(self.name, unseal(kit, self.name, self.place.get(self.name)))


class Until(msgspec.Struct, frozen=True):
    """How far a restore goes beyond the backup: to this time, or (None) as far as the log does."""

    at: datetime | None

    @classmethod
    def read(cls, text: str | None) -> Self | None:
        """Read `--to`. Raises Cannot."""
        if text is None:
            return None
        if text == LATEST:
            return cls(None)
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            at = None
        if at is None or at.tzinfo is None:
            raise Cannot(
                f"--to {text} is neither '{LATEST}' nor a time with its zone, such as "
                "2026-11-22T16:05:00+03:00."
            )
        return cls(at.astimezone(UTC))

    def reaches(self, manifest: Manifest) -> bool:
        """Tell whether this backup is not later."""
        return self.at is None or datetime.fromisoformat(manifest.point_at) <= self.at

    def refuse_beyond(self, newest: datetime | None) -> None:
        """Refuse a time that the log does not reach. Raises Cannot."""
        if newest is None:
            raise Cannot("The log behind this backup was not archived: leave --to out.")
        if self.at is not None and self.at > newest:
            raise Cannot(
                f"The log is archived until {newest:%Y-%m-%dT%H:%M:%SZ} only: name that time or "
                f"'--to {LATEST}'."
            )


def segment_name(lineage: str, segment: str, closed_at: datetime) -> str:
    """Where a segment lies."""
    return f"{WAL}/{lineage}/{segment}-{closed_at.astimezone(UTC).strftime(STAMP)}"


def sweep_name(lineage: str, began_at: datetime) -> str:
    """Where a sweep's list of new objects lies."""
    return f"{SWEEPS}/{lineage}/{began_at.astimezone(UTC).strftime(STAMP)}"


def archived(place: Place, manifest: Manifest) -> list[Archived]:
    """The segments behind a backup, one after the other, up to the first hole."""
    found: dict[int, Archived] = {}
    timeline, last = _number(manifest.last_wal)
    for name in place.names(f"{WAL}/{manifest.lineage}"):
        match = _SEGMENT.fullmatch(name.rpartition("/")[2])
        if match is None or match[1] != timeline:
            continue
        segment = name.rpartition("/")[2].partition("-")[0]
        found[_number(segment)[1]] = Archived(place, name, segment, _time(match[4]))
    there = []
    while (last := last + 1) in found:
        there.append(found[last])
    return there


def swept_until(place: Place, kit: Kit, manifest: Manifest, until: Until) -> Iterator[ObjectEntry]:
    """The objects that came behind a backup, through the first sweep that saw all by then."""
    point = datetime.fromisoformat(manifest.point_at)
    for name in place.names(f"{SWEEPS}/{manifest.lineage}"):
        began_at = _time(name.rpartition("/")[2])
        if began_at < point:
            continue
        yield from entries_of(inflated(name, unseal(kit, name, place.get(name))))
        if until.at is not None and began_at >= until.at:
            return


def _number(segment: str) -> tuple[str, int]:
    return segment[:8], int(segment[8:16], 16) * 256 + int(segment[16:], 16)


def _time(stamp: str) -> datetime:
    return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
