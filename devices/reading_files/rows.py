"""A row of a file of readings: what it measured, or why it is not believed."""

import hashlib
from datetime import datetime
from typing import Any, Final

import msgspec

from devices.measurement import DeviceFlag, Kind, Measurement

# Codes of rows, beside those of devices/measurement.py.
TIME_MISSING: Final = "time_missing"
TIME_UNREADABLE: Final = "time_unreadable"
DATE_AMBIGUOUS: Final = "date_ambiguous"
HOUR_TWICE: Final = "hour_twice"
NUMBER_UNREADABLE: Final = "number_unreadable"
KIND_UNKNOWN: Final = "kind_unknown"
PAIR_MISSING: Final = "pair_missing"
TOO_MANY_FIELDS: Final = "too_many_fields"


class FileRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`place` is the line or the number of the entry; `code` is empty for a measurement."""

    place: int
    measurement: Measurement | None = None
    code: str = ""
    field: str = ""
    params: dict[str, Any] = {}


def refused(place: int, code: str, field: str = "", **params: Any) -> FileRow:
    """Give the row of something that is no reading."""
    return FileRow(place=place, code=code, field=field, params=params)


def measured(  # noqa: PLR0917 - where it stands, and what it says
    place: int,
    kind: Kind,
    taken_at: datetime,
    values: dict[str, float],
    unit: str,
    word: DeviceFlag | None = None,
) -> FileRow:
    """Give the row of a reading; its number follows from what it says, so that a file may come
    again and nothing is stored twice. `word`: what a meter said in place of a value.
    """
    try:
        measurement = Measurement(
            kind=kind,
            sequence=sequence_of(kind, taken_at, values, word or unit),
            taken_at=taken_at,
            values=values,
            unit=unit,
            flags=() if word is None else (word,),
        )
    except ValueError:  # a date at the edge of the calendar
        return refused(place, TIME_UNREADABLE, "taken_at")
    return FileRow(place=place, measurement=measurement)


def sequence_of(kind: Kind, taken_at: datetime, values: dict[str, float], unit: str) -> int:
    """A number of 53 bits for a reading that a file has not numbered."""
    said = (kind.value, taken_at.timestamp(), sorted(values.items()), unit)
    digest = hashlib.blake2b(msgspec.json.encode(said), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 11
