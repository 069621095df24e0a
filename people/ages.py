"""Ages and the steps at which a child's own say grows. Pure: dates in, dates out.

    14  is told of whoever asks to be a guardian; consents are given together with a guardian
        (house rule: 14 brings a passport and part of the legal capacity, Civil Code art. 26)
    15  decides about health alone (Federal law 323-FZ art. 54 part 2), and a guardian sees of it
        what the teen shares. The law would have guardians informed until 18 (art. 22 part 2 since
        2020, council.gov.ru/events/news/118426); the house default is narrower, and TEEN_DECIDES
        is the one place to widen it. Which one a clinic needs is for its lawyer to say.
    18  is grown up: every guardian's right ends

A step happens at the first moment of the birthday in the zone of the child's own clinic or school.
Who was born on 29 February has the birthday on 1 March in other years.
"""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

TEEN_IS_TOLD = 14
TEEN_DECIDES = 15
GROWN_UP = 18
# A banner tells of a step so long beforehand.
BEFOREHAND = timedelta(days=30)
# Of a person who belongs to no organisation.
DEFAULT_ZONE = "Europe/Moscow"


def age_on(born_on: date, day: date) -> int:
    """Give the whole years lived on `day`; nobody is younger than 0."""
    had_birthday = (day.month, day.day) >= (born_on.month, born_on.day)
    return max(0, day.year - born_on.year - (not had_birthday))


def is_minor(born_on: date | None, day: date) -> bool:
    """Say whether somebody is under 18 on `day`; with no date of birth a person is grown up."""
    return born_on is not None and age_on(born_on, day) < GROWN_UP


def birthday(born_on: date, years: int) -> date:
    """Give the day on which somebody becomes so many years old."""
    try:
        return born_on.replace(year=born_on.year + years)
    except ValueError:  # 29 February
        return date(born_on.year + years, 3, 1)


def turns(born_on: date, years: int, zone: str) -> datetime:
    """Give the moment (UTC) at which somebody becomes so many years old in `zone`."""
    start = datetime.combine(birthday(born_on, years), time(), ZoneInfo(zone))
    return start.astimezone(UTC)


def local_day(now: datetime, zone: str) -> date:
    """Give the date that `now` has in `zone`."""
    return now.astimezone(ZoneInfo(zone)).date()
