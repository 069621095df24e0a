"""Quiet hours: when only what is critical may make a sound. Pure rules over local time."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

DAY_MINUTES = 24 * 60
USUAL_FROM = 22 * 60
USUAL_UNTIL = 7 * 60
USUAL_ZONE = "Europe/Moscow"


class QuietHours(msgspec.Struct, frozen=True):
    """From one local minute of the day (included) to another (not included); equal: never."""

    zone: ZoneInfo
    from_minute: int = USUAL_FROM
    until_minute: int = USUAL_UNTIL

    def quiet(self, now: datetime) -> bool:
        """Say whether it is quiet at `now`."""
        local = now.astimezone(self.zone)
        minute = local.hour * 60 + local.minute
        if self.from_minute <= self.until_minute:
            return self.from_minute <= minute < self.until_minute
        return minute >= self.from_minute or minute < self.until_minute

    def not_before(self, now: datetime) -> datetime:
        """Give `now`, or the end of the quiet it falls into."""
        if not self.quiet(now):
            return now
        local = now.astimezone(self.zone)
        end = time(self.until_minute // 60, self.until_minute % 60)
        day = local.date()
        if local.time() >= end:
            day += timedelta(days=1)
        # An hour that the clocks leave out ends with the quiet all the same.
        due = datetime.combine(day, end, self.zone).astimezone(UTC)
        return max(due, now)


def zone_or_none(name: str) -> ZoneInfo | None:
    """The zone of an IANA name; None for what is none, or is a path."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
