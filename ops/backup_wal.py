"""What a place holds behind a backup: segments of the write-ahead log, and lists of objects.

A segment is put only after a sweep of the objects that began when it was closed already: whatever
rows the log brings back, their objects are in a list.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Self

import msgspec

from ops.backup_objects import lines_of
from ops.backup_place import Place
from ops.children import Cannot
from storage.backup_format import Damaged, Kit, Manifest, ObjectEntry, inflated, unseal

WAL, SWEEPS, SECRETS = "wal", "sweeps", "secrets"
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


def secrets_name(lineage: str, at: datetime) -> str:
    """Where what opens everything lies, as it was at this time."""
    return f"{SECRETS}/{lineage}/{at.astimezone(UTC).strftime(STAMP)}"


class Sweep(msgspec.Struct, frozen=True):
    """First line of a list of objects: the list before it, None where this one has everything."""

    after: str | None


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


def swept_until(
    place: Place, kit: Kit, manifest: Manifest, goal: datetime
) -> Iterator[ObjectEntry]:
    """The objects that came behind a backup, through the first sweep that saw all by then.

    Raises Damaged when a list is missing: rows would come back without their objects.
    """
    point, last = datetime.fromisoformat(manifest.point_at), None
    for name in place.names(f"{SWEEPS}/{manifest.lineage}"):
        began_at = _time(name.rpartition("/")[2])
        if began_at >= point:
            lines = lines_of(inflated(name, unseal(kit, name, place.get(name))))
            after = msgspec.json.decode(next(lines), type=Sweep).after
            # Of those before the point, whose objects the backup has, the oldest may be deleted.
            if after not in {None, last} and _time(after.rpartition("/")[2]) >= point:
                raise Damaged(f"The list of objects {after} is missing.")
            for line in lines:
                yield msgspec.json.decode(line, type=ObjectEntry)
        last = name
        if began_at >= goal:
            return
    raise Damaged("The newest list of objects is missing.")


def secrets_behind(place: Place, kit: Kit, manifest: Manifest) -> Iterator[bytes] | None:
    """The newest tar of what opens everything, when there is one newer than the backup."""
    point = datetime.fromisoformat(manifest.point_at)
    for name in reversed(place.names(f"{SECRETS}/{manifest.lineage}")):
        if _time(name.rpartition("/")[2]) >= point:
            return inflated(name, unseal(kit, name, place.get(name)))
    return None


def _number(segment: str) -> tuple[str, int]:
    return segment[:8], int(segment[8:16], 16) * 256 + int(segment[16:], 16)


def _time(stamp: str) -> datetime:
    return datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
