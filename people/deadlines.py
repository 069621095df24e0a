"""Deadlines: who owes an answer, how long is left, and whom it passes to when nothing happens.

Pure rules over a calendar of working days in a local zone: no I/O, no clock. Days are counted as
Russian law counts them: from the day after the one something came in (Civil Code, article 191),
and the last day lasts until midnight (article 194). Days off are not counted at all.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

_SATURDAY = 5
# Labour Code of Russia, article 112: feasts of every year, as (month, day).
_NEW_YEAR = tuple((1, day) for day in range(1, 9))
_FEASTS = ((2, 23), (3, 8), (5, 1), (5, 9), (6, 12), (11, 4))
# Longer than any rest there is: a wrong calendar ends in an error and not in a loop.
_LONGEST_REST_DAYS = 60


class NoWorkingDay(Exception):  # noqa: N818 - a mistake in a calendar, named as the fact
    """Two months without a working day: no real calendar is like that."""


class Calendar(msgspec.Struct, frozen=True):
    """Which days are worked in a region.

    Weekends and the feasts of article 112 are known; `off` and `worked` are what was published for
    single years besides: days off that the government moved, feasts of a republic, Saturdays that
    are worked instead. What was published goes before what is known; a day in both is off.
    """

    zone: ZoneInfo
    off: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    def working(self, day: date) -> bool:
        """Say whether `day` is worked."""
        if day in self.off or day in self.worked:
            return day not in self.off
        return day.weekday() < _SATURDAY and day not in feasts(day.year)

    def local_day(self, now: datetime) -> date:
        """Give the date on the wall at `now`."""
        return now.astimezone(self.zone).date()

    def end_of(self, day: date) -> datetime:
        """Give the moment the local day is over."""
        return datetime.combine(day + timedelta(days=1), time(), self.zone).astimezone(UTC)

    def after(self, day: date, working_days: int) -> date:
        """Give the working day that comes `working_days` after `day`, which does not count itself.

        Raises NoWorkingDay.
        """
        for _ in range(working_days):
            day = next(self._working_after(day), None) or _none_after(day)
        return day

    def between(self, first: date, last: date) -> int:
        """Count the working days after `first`, up to and with `last`; none when it is earlier."""
        span = range(1, (last - first).days + 1)
        return sum(self.working(first + timedelta(days=n)) for n in span)

    def _working_after(self, day: date) -> Iterator[date]:
        following = (day + timedelta(days=n) for n in range(1, _LONGEST_REST_DAYS))
        return (one for one in following if self.working(one))


class Ladder(msgspec.Struct, frozen=True):
    """Who owes an answer, and after how many working days it passes to the next above.

    `holders` begins with the owner and has one more for every step of `passes_after`.
    """

    holders: tuple[str, ...]
    passes_after: tuple[int, ...]
    due_after: int

    def __post_init__(self) -> None:
        steps = self.passes_after
        rising = all(low < high for low, high in zip((0, *steps), steps, strict=False))
        if len(self.holders) != len(steps) + 1 or not rising or self.due_after <= 0:
            raise ValueError("a ladder has one holder more than steps, and its steps rise")


class Standing(msgspec.Struct, frozen=True):
    """How a deadline stands at a moment."""

    holder: str
    level: int  # 0: still with its owner
    due_at: datetime
    overdue: bool
    days_left: int  # working days, today included while it lasts; 0 once it is over
    changes_at: datetime | None  # when it passes on or falls due next; None when nothing comes


# An appeal of a citizen: to the head on the fifth working day, to the region on the eighth, over on
# the tenth. A rule of this house, shorter than the 30 days of law 59-FZ, article 12.
APPEAL = Ladder(holders=("owner", "head", "region"), passes_after=(5, 8), due_after=10)


def standing(ladder: Ladder, calendar: Calendar, came_at: datetime, now: datetime) -> Standing:
    """Say how a deadline stands that began when something `came_at`; a pure rule of both times."""
    came_on = calendar.local_day(came_at)
    passes = [calendar.end_of(calendar.after(came_on, days)) for days in ladder.passes_after]
    due_on = calendar.after(came_on, ladder.due_after)
    due_at = calendar.end_of(due_on)
    level = sum(now >= passed for passed in passes)
    today = calendar.local_day(now)
    # Before it came in nothing is owed yet, and nothing has been used up.
    counted_from = max(today - timedelta(days=1), came_on)
    return Standing(
        holder=ladder.holders[level],
        level=level,
        due_at=due_at,
        overdue=now >= due_at,
        days_left=calendar.between(counted_from, due_on),
        changes_at=min((at for at in (*passes, due_at) if at > now), default=None),
    )


@lru_cache(maxsize=64)
def feasts(year: int) -> frozenset[date]:
    """Give the days off of a year by article 112, weekends aside.

    A feast on a weekend moves the day off to the next working day; of the New Year's days the
    government says each year where they go, which is for a calendar's `off`.
    """
    moving = [date(year, month, day) for month, day in _FEASTS]
    found = {*moving, *(date(year, month, day) for month, day in _NEW_YEAR)}
    for feast in moving:
        moved = feast
        while feast.weekday() >= _SATURDAY and (moved.weekday() >= _SATURDAY or moved in found):
            moved += timedelta(days=1)
        found.add(moved)
    return frozenset(found)


def _none_after(day: date) -> date:
    raise NoWorkingDay(day.isoformat())
