"""What the gateway tells of itself: three honest states a device, and what is in the way.

    on this device   measured, and the server does not have it as far as anybody knows
    sent             went out; the server's word is not in
    stored           the server has named it

No value is told, and nothing of whom it is.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from devices.gateway.buffer import Buffer
from devices.gateway.kept import Known
from devices.gateway.missing import missing, numbers_of
from devices.gatt.models import find
from devices.gatt.to_measurement import GLUCOSE
from devices.measurement import Kind
from devices.order import Gap


class DeviceState(msgspec.Struct, frozen=True, kw_only=True):
    """One device; `refused` and `not_readings` are counts by code, `missing` a meter's numbers."""

    name: str
    address: str
    here: int
    sent: int
    stored: int
    refused: dict[str, int]
    not_readings: dict[str, int]
    heard_at: datetime | None
    trouble: str
    refused_by_server: str
    missing: tuple[Gap, ...] = ()


# Looked at for holes, and holes told of.
_WINDOW = 4096
_HOLES = 20
_TROUBLE = {
    "no_radio": "this machine's Bluetooth is off or missing",
    "not_reached": "it went away before it was connected",
    "link_lost": "the connection was cut; it goes on from there at the next one",
    "not_paired": "it wants to be paired: add it again",
    "device_silent": "it does not answer when asked for its records",
    "records_lost": "some of its records did not come; it is asked again",
    "not_completed": "it ended its download early; it is asked again",
    "unsupported": "it cannot be asked for its records",
    "buffer_full": "so much waits for the server that nothing more is taken",
    "disk": "the disk takes nothing more",
    "failed": "the program failed at it; it is tried again",
}


def state_of(buffer: Buffer) -> list[DeviceState]:
    """The state of every device, in the order they were added."""
    states = []
    for known in buffer.devices():
        counts = buffer.counts(known.id)
        states.append(
            DeviceState(
                name=known.name,
                address=known.address,
                here=counts.here,
                sent=counts.sent,
                stored=counts.stored,
                refused=counts.refused,
                not_readings=counts.doubts,
                heard_at=known.heard_at,
                trouble=known.trouble,
                refused_by_server=known.refused_by_server,
                missing=_missing(buffer, known),
            )
        )
    return states


def _missing(buffer: Buffer, known: Known) -> tuple[Gap, ...]:
    came = buffer.newest_numbers(known.id, Kind.GLUCOSE, _WINDOW)
    if came:
        quirks = find(known.model).quirks
        came += numbers_of(buffer.doubted(known.id, GLUCOSE), quirks)
    return missing(came)[-_HOLES:]


def lines(states: Sequence[DeviceState]) -> list[str]:
    """The states in words."""
    told: list[str] = []
    for one in states:
        heard = f"{one.heard_at:%Y-%m-%d %H:%M} UTC" if one.heard_at else "never"
        told.append(
            f"{one.name}: on this device {one.here}, sent {one.sent}, stored {one.stored}; "
            f"last heard {heard}"
        )
        if one.refused_by_server:
            told.append(f"{one.name}: the server refuses it ({one.refused_by_server})")
        if one.trouble:
            told.append(f"{one.name}: {_TROUBLE.get(one.trouble, one.trouble)}")
        if one.refused:
            told.append(f"{one.name}: refused by the server: {_counted(one.refused)}")
        if one.not_readings:
            told.append(f"{one.name}: not readings: {_counted(one.not_readings)}")
        if one.missing:
            told.append(f"{one.name}: records that never came: {_numbers(one.missing)}")
    return told


def _numbers(gaps: Sequence[Gap]) -> str:
    return ", ".join(
        str(gap.first) if gap.first == gap.last else f"{gap.first}-{gap.last}" for gap in gaps
    )


def _counted(by_code: dict[str, int]) -> str:
    return ", ".join(f"{code} {count}" for code, count in sorted(by_code.items()))
