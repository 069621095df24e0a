"""Demo days: weeks of readings of people whose home devices live (devices/household.py).

Each reading comes through the decoders, as a gateway would send it: what a device got wrong is
flagged or left out here too. A run adds what has been measured since; what is stored is known by
its number and stays.
"""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from devices.household import HUMAN, Home, readings
from devices.kinds import Kind
from devices.life import Person
from devices.measurement import Measurement, check
from people import audit
from people.ages import local_day
from people.demo import demo_id
from people.device_tokens import Devices, KnownDevice
from telemed.reading_tables import Readings
from telemed.readings import Incoming, apply

ZONE: Final = ZoneInfo("Europe/Moscow")
# At most so many go in one batch, as from the ingest writer.
_BATCH: Final = 1000
_DAYS: Final = 42
_ARRIVES: Final = timedelta(seconds=5)
_LIPIDS: Final = (
    Kind.CHOLESTEROL_TOTAL,
    Kind.CHOLESTEROL_HDL,
    Kind.CHOLESTEROL_LDL,
    Kind.TRIGLYCERIDE,
)


class Household(msgspec.Struct, frozen=True, kw_only=True):
    """A demo patient: which device measures what for how many days, until how long ago."""

    login: str
    person: Person
    kinds: tuple[tuple[str, Kind, int], ...]
    quiet: timedelta = timedelta()


def households(began: date) -> tuple[Household, ...]:
    """The demo's homes; treatment began on that day, and charts show that it works."""
    return (
        Household(
            login="patient.timur",
            person=Person(
                seed="patient.timur",
                systolic=151,
                diastolic=88,
                glucose=8.3,
                meal_rise=3.4,
                weight=91,
                ldl=3.6,
                treated_since=began,
                systolic_fall=17,
                glucose_fall=1.6,
                weight_fall=2.5,
            ),
            kinds=(
                ("cuff", Kind.BLOOD_PRESSURE, _DAYS),
                ("kit", Kind.GLUCOSE, _DAYS),
                ("kit", Kind.CGM_GLUCOSE, 2),
                ("kit", Kind.WEIGHT, _DAYS),
                ("kit", Kind.SPO2, 14),
                *(("kit", kind, _DAYS) for kind in _LIPIDS),
            ),
        ),
        # Quiet for two days: whoever opens his visit watches the first readings come in.
        Household(
            login="patient.rinat",
            person=Person(
                seed="patient.rinat",
                systolic=148,
                diastolic=93,
                pulse=76,
                weight=84,
                treated_since=began,
                systolic_fall=14,
            ),
            kinds=(("cuff", Kind.BLOOD_PRESSURE, _DAYS), ("kit", Kind.WEIGHT, _DAYS)),
            quiet=timedelta(days=2),
        ),
        Household(
            login="parent.damir",
            person=Person(seed="parent.damir", systolic=121, diastolic=77, weight=79),
            kinds=(("cuff", Kind.BLOOD_PRESSURE, 7), ("kit", Kind.TEMPERATURE, 3)),
        ),
    )


async def seed_days(db: AsyncSession, now: datetime) -> int:
    """Store what the homes have measured up to now; give how many readings there were.

    After people.demo, which makes the devices.
    """
    today = local_day(now, str(ZONE))
    told = 0
    for house in households(await _began(db, today)):
        home = Home(house.person, ZONE, HUMAN)
        for word, kind, days in house.kinds:
            row = await db.get_one(Devices, demo_id(f"{word} {house.login}"))
            device = KnownDevice(row.id, row.person_id, row.name, tuple(row.kinds), now)
            span = [today - timedelta(days=back) for back in range(days, -1, -1)]
            found = [
                Incoming(device, check(one, now), one.taken_at + _ARRIVES)
                for one in readings(home, (kind,), span)
                if isinstance(one, Measurement) and one.taken_at + _ARRIVES <= now - house.quiet
            ]
            for at in range(0, len(found), _BATCH):
                await apply(db, found[at : at + _BATCH])
            told += len(found)
    return told


async def _began(db: AsyncSession, today: date) -> date:
    """Two weeks after the first reading: a later run must find the days as they were."""
    query = select(func.min(Readings.taken_at)).where(
        Readings.device_id == demo_id("cuff patient.timur")
    )
    first = await db.scalar(query, execution_options=audit.WRITE_PATH)
    day = today - timedelta(days=_DAYS) if first is None else local_day(first, str(ZONE))
    return day + timedelta(days=14)
