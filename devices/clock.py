"""When a reading was taken, whatever the device's clock says.

Clocks of home devices are fast or slow, drift, tell local time without a zone, start at 1970 with a
new battery, or were never set. `DeviceClock` keeps moments at which both clocks were seen at once
and draws a robust line through them; `repair` reads a time off that line. It never gives a moment
after arrival, and says with a flag and `doubt_s` what the time is worth.

Pure and frozen: `seen` gives the clock that knows one moment more. The same moments give the same
clock, in whatever order they came.
"""

from datetime import UTC, datetime, timedelta, tzinfo
from itertools import combinations
from statistics import median
from typing import Final

import msgspec

from devices.measurement import DeviceFlag

# Meters keep whole minutes: closer than this is as good as right, and stays as it was sent.
TOLERANCE_S: Final = 60.0
# A home device on the market counts from its maker's date; what is earlier was never set.
UNSET_BEFORE: Final = datetime(2020, 1, 1)  # noqa: DTZ001 - a device's own time has no zone
KEPT: Final = 64
# Somebody set the clock, or it stood still: further off than drift explains between two looks.
_STEP_S: Final = 90.0
# The worst clocks without a crystal; a steeper line is no drift but a mistake.
_STEEPEST: Final = 5e-3
_FLAT_BELOW_S: Final = 3600.0
_DRIFT_UNKNOWN: Final = 1e-4
_QUARTER_S: Final = 900
_ZONES_S: Final = (-12 * 3600, 14 * 3600)
_NO_ZONE_DOUBT_S: Final = 14 * 3600.0
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - as above


class Moment(msgspec.Struct, frozen=True, order=True):
    """At `at_s` (Unix time) the device showed `device`. `read`: asked for, not a reading's own."""

    at_s: float
    device: datetime
    read: bool = False


class Repaired(msgspec.Struct, frozen=True):
    """When it was taken, as well as can be told: give or take `doubt_s`."""

    taken_at: datetime
    flags: tuple[DeviceFlag, ...]
    doubt_s: float


class _Line(msgspec.Struct, frozen=True):
    """Error of the device (its time less the true one) over one stretch between settings."""

    since_s: float
    until_s: float
    error_s: float
    drift: float
    spread_s: float

    def true_s(self, device_s: float) -> float:
        """The true time at which the device showed this."""
        ahead = device_s - self.error_s - self.since_s
        return self.since_s + ahead / (1 + self.drift)

    def away_s(self, true_s: float) -> float:
        """How far outside the stretch a moment lies."""
        return max(self.since_s - true_s, true_s - self.until_s, 0.0)


class DeviceClock(msgspec.Struct, frozen=True):
    """One device's clock; `zone` is the home's, None when nobody said."""

    zone: tzinfo | None = None
    moments: tuple[Moment, ...] = ()

    def seen(self, device: datetime, at: datetime, *, read: bool = False) -> "DeviceClock":
        """The clock that also knows what the device showed `at` a moment."""
        moment = Moment(at.timestamp(), device.replace(tzinfo=None, fold=0), read)
        moments = sorted({*self.moments, moment})[-KEPT:]
        return DeviceClock(self.zone, tuple(moments))

    def repair(
        self,
        device: datetime | None,
        arrived_at: datetime,
        *,
        live: bool = False,
        clock_set: bool = True,
    ) -> Repaired:
        """When a reading was taken that the device dates `device` (None: it has no date).

        `live`: sent as it was taken. `clock_set`: False when the device says its clock is not.
        """
        arrived_s = arrived_at.timestamp()
        if device is None or not clock_set:
            return _of_arrival(arrived_at, live=live)
        moments = self.moments
        if live:
            moments = self.seen(device, arrived_at, read=True).moments
        offset_s, assumed = self._offset(device, moments)
        flags = {DeviceFlag.ZONE_ASSUMED} if assumed else set()
        device_s = _seconds(device) - offset_s
        points = [
            (m.at_s, _seconds(m.device) - self._offset_of(m.device, offset_s), m.read)
            for m in moments
        ]
        lines = _lines(points)
        if lines:
            true_s, doubt_s = _read_off(lines, device_s)
        else:
            true_s, doubt_s = device_s, _NO_ZONE_DOUBT_S if assumed else 0.0
        if true_s < _seconds(UNSET_BEFORE):
            # Written while the clock was not set, and nobody looked at the clock then.
            return _of_arrival(arrived_at, live=live)
        if abs(true_s - device_s) <= TOLERANCE_S:
            true_s = device_s
        else:
            flags.add(DeviceFlag.CLOCK_REPAIRED)
        if true_s > arrived_s:
            if true_s - arrived_s > TOLERANCE_S:
                flags.add(DeviceFlag.CLOCK_REPAIRED)
                doubt_s = max(doubt_s, true_s - arrived_s)
            true_s = arrived_s
        # Float seconds are good to some microseconds only: never one of them after arrival.
        taken_at = min(datetime.fromtimestamp(true_s, UTC), arrived_at.astimezone(UTC))
        return Repaired(taken_at, tuple(sorted(flags)), doubt_s)

    def _offset(self, device: datetime, moments: tuple[Moment, ...]) -> tuple[float, bool]:
        """Seconds east of Greenwich to read the device's time with, and whether that is a guess."""
        if self.zone is not None:
            naive = device.replace(tzinfo=None)
            first, second = (self.zone.utcoffset(naive.replace(fold=fold)) for fold in (0, 1))
            return _east(first), first != second
        guesses = []
        for moment in moments:
            error_s = _seconds(moment.device) - moment.at_s
            quarter = round(error_s / _QUARTER_S) * _QUARTER_S
            if _ZONES_S[0] <= quarter <= _ZONES_S[1]:
                guesses.append(float(quarter))
        return (median(guesses) if guesses else 0.0), True

    def _offset_of(self, device: datetime, guess_s: float) -> float:
        return guess_s if self.zone is None else _east(self.zone.utcoffset(device))


def _read_off(lines: list[_Line], device_s: float) -> tuple[float, float]:
    """The true time by the stretch it fits best, the latest of equals, and what it is worth.

    A clock set back has shown some times twice: then the doubt is as wide as the choice.
    """
    found = [(line.true_s(device_s), line) for line in lines]
    true_s, line = min(found, key=lambda one: (one[1].away_s(one[0]), -one[1].since_s))
    away_s = line.away_s(true_s)
    rivals = [other for other, one in found if one.away_s(other) <= away_s + _FLAT_BELOW_S]
    doubt_s = line.spread_s + _DRIFT_UNKNOWN * away_s
    return true_s, max(doubt_s, max(rivals) - min(rivals))


def _of_arrival(arrived_at: datetime, *, live: bool) -> Repaired:
    """Nothing is known but that it came; sent as it was taken, that is good to a minute."""
    doubt_s = TOLERANCE_S if live else float("inf")
    return Repaired(arrived_at.astimezone(UTC), (DeviceFlag.TIME_OF_ARRIVAL,), doubt_s)


def _lines(points: list[tuple[float, float, bool]]) -> list[_Line]:
    """One line for each stretch between settings of the clock; (true, device, read) by time."""
    stretches: list[list[tuple[float, float]]] = []
    errors = [(at_s, device_s - at_s, read) for at_s, device_s, read in points]
    for index, (at_s, error_s, read) in enumerate(errors):
        if not stretches or _far(stretches[-1], at_s, error_s):
            # One that stands alone came late on its way, unless the clock itself was looked at.
            following = errors[index + 1][1] if index + 1 < len(errors) else None
            agreed = following is not None and abs(following - error_s) <= _STEP_S
            if stretches and not (agreed or read):
                continue
            stretches.append([])
        stretches[-1].append((at_s, error_s))
    return [_line(stretch) for stretch in stretches]


def _far(stretch: list[tuple[float, float]], at_s: float, error_s: float) -> bool:
    recent = stretch[-5:]
    level = median(error for _, error in recent)
    allowed = _STEP_S + _STEEPEST / 10 * (at_s - recent[-1][0])
    return abs(error_s - level) > allowed


def _line(stretch: list[tuple[float, float]]) -> _Line:
    """Theil and Sen's line: the median of all slopes, a third of the points may lie."""
    since_s, until_s = stretch[0][0], stretch[-1][0]
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for earlier, later in combinations(stretch, 2)
        if later[0] - earlier[0] >= _FLAT_BELOW_S
    ]
    drift = median(slopes) if slopes else 0.0
    if abs(drift) > _STEEPEST:
        drift = 0.0
    error_s = median(error - drift * (at - since_s) for at, error in stretch)
    spread_s = median(abs(error - error_s - drift * (at - since_s)) for at, error in stretch)
    return _Line(since_s, until_s, error_s, drift, spread_s)


def _seconds(device: datetime) -> float:
    return (device.replace(tzinfo=None) - _EPOCH).total_seconds()


def _east(offset: timedelta | None) -> float:
    return 0.0 if offset is None else offset.total_seconds()
