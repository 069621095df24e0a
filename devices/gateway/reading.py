"""From what was heard to readings, by devices.gatt; a doubt is a code, never silence."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from devices.clock import DeviceClock, Moment
from devices.gateway.kept import Heard, Known
from devices.gatt.models import find
from devices.gatt.payload import TIME, BadPayload, PartialTime, device_time
from devices.gatt.to_measurement import measurements
from devices.measurement import Measurement

# A decoder must refuse whatever it cannot read; should one fail, the bytes stay and others go on.
FAILED = "decoder_failed"


def readings_of(
    heard: Heard, known: Known, moments: Sequence[Moment] = ()
) -> tuple[list[Measurement], list[str]]:
    """The readings in a payload, and why the rest of it is none.

    `moments`: what the device's clock showed when it was looked at.
    """
    try:
        told = measurements(
            heard.characteristic,
            heard.data,
            find(known.model),
            None,
            heard.received_at,
            heard.read,
            user=known.user,
            clock=DeviceClock(ZoneInfo(known.zone), tuple(moments)),
        )
    except Exception:  # noqa: BLE001 - see FAILED
        return [], [FAILED]
    readings = [one for one in told if isinstance(one, Measurement)]
    return readings, [one.reason for one in told if not isinstance(one, Measurement)]


def shown_by(data: bytes) -> datetime | None:
    """What a clock shows, of Current Time 0x2A2B or Date Time 0x2A08; None: not set, or damaged."""
    if len(data) < TIME.size:
        return None
    try:
        shown = device_time(TIME.unpack_from(data), 0)
    except BadPayload:
        return None
    return None if isinstance(shown, PartialTime) else shown
