"""A message on its way to readings: what came, from what, and what is known beside it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

import msgspec

from devices.clock import DeviceClock, Repaired
from devices.gatt.blood_pressure import UNKNOWN_USER
from devices.gatt.floats import Special
from devices.gatt.models import Model
from devices.gatt.payload import DeviceTime, PartialTime
from devices.measurement import BEYOND, DeviceFlag, Kind, Measurement, NoReading, beyond
from devices.order import number


class Why(StrEnum):
    """Why a message is no reading, beside NoReading and the codes of BadPayload."""

    INTERIM = "interim"
    SESSION_UNKNOWN = "session_unknown"
    OTHER_USER = "other_user"
    NOT_SUPPORTED = "not_supported"


class Refusal(msgspec.Struct, frozen=True):
    """A message that gives no reading: `reason` is a Why, a NoReading or a code of BadPayload.

    `offset`: of the bad bytes; `sequence`: the device's own number of the record.
    """

    characteristic: int
    reason: str
    offset: int | None = None
    sequence: int | None = None


class Message(msgspec.Struct, frozen=True):
    """What came, from what, and what is known beside it."""

    characteristic: int
    data: bytes
    model: Model
    clock: DeviceClock
    received_at: datetime
    read: Mapping[int, bytes]
    user: int | None

    def refuse(self, reason: str, sequence: int | None = None) -> Refusal:
        """This message gives no reading, and why."""
        return Refusal(self.characteristic, reason, None, sequence)

    def reading(
        self,
        kind: Kind,
        unit: str,
        values: dict[str, float],
        flags: set[DeviceFlag],
        *,
        local: datetime | None = None,
        live: bool = False,
        stored_as: int | None = None,
        repaired: Repaired | None = None,
    ) -> Measurement:
        """A reading the device dates `local`; without a date it was taken when it came.

        `stored_as`: its number, when that comes from more than this date and these values.
        """
        moment = repaired or self.clock.repair(local, self.received_at, live=live)
        if stored_as is None:
            stored_as = number(None, local or self.received_at, values)
        return Measurement(
            kind=kind,
            sequence=stored_as,
            taken_at=moment.taken_at,
            values=values,
            unit=unit,
            flags=tuple(sorted(flags.union(moment.flags))),
        )


Outcome = list[Measurement | Refusal]
_WORDS = {Special.ABOVE: NoReading.ABOVE_SCALE, Special.BELOW: NoReading.BELOW_SCALE}
_BEYOND: dict[Special | None, DeviceFlag] = {
    Special.ABOVE: DeviceFlag.ABOVE_SCALE,
    Special.BELOW: DeviceFlag.BELOW_SCALE,
}


def failed(value: Special) -> NoReading:
    """Why a word where a number is due is no reading."""
    return _WORDS.get(value, NoReading.MEASUREMENT_FAILED)


def told(
    name: str, value: float | Special | None, flags: set[DeviceFlag]
) -> tuple[dict[str, float], set[DeviceFlag]] | None:
    """The values and flags of a measurement of one number; None when it failed.

    A word for "beyond the scale" is a reading without a number. Some meters say it in the place of
    the number, others by a bit beside none.
    """
    if isinstance(value, float):
        return {name: value}, flags
    word = _BEYOND.get(value, beyond({}, flags))
    return None if word is None else ({}, flags - BEYOND | {word})


def local_of(time: DeviceTime | None) -> datetime | None:
    """The device's own time, if it knows all of it."""
    return None if isinstance(time, PartialTime) else time


def another(message: Message, user: int | None) -> bool:
    """A reading of another user of a shared device; one without a user is everybody's."""
    return message.user is not None and user not in {None, UNKNOWN_USER, message.user}


def of_nobody(message: Message, user: int | None) -> set[DeviceFlag]:
    """The doubt of a reading whose user the device does not know, where one user's are wanted."""
    guest = message.user is not None and user == UNKNOWN_USER
    return {DeviceFlag.QUESTIONABLE} if guest else set()
