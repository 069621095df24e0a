"""HI and LO of a glucose meter or sensor: both sides are told at once, whatever is looked at.

Rule `glucose.off_scale`. The ends of a meter's scale (20 and 600 mg/dL as a rule, of a sensor 40
and 400) lie far beyond level 2: below 54, above 250 mg/dL (consensus of ADA and EASD 2021, table 1;
Battelino 2019). So HI is level 2 high and LO level 2 low, though there is no number. A meter may be
15 mg/dL or 15 % off (ISO 15197:2013), which changes neither.
"""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from devices.measurement import BEYOND, Checked, DeviceFlag, Kind
from people.households import guardians_of
from people.notices import Notices, notify
from people.policy import Act
from people.policy import Kind as Tie
from people.relations import allowed
from telemed.telemedicine import ConsentWithdrawn, require_consent
from telemed.visits import OVERTIME, READINGS_BEFORE, Visits, VisitState

_KINDS: Final = frozenset({Kind.GLUCOSE, Kind.CGM_GLUCOSE})
_SHOWN: Final = {DeviceFlag.ABOVE_SCALE: "HI", DeviceFlag.BELOW_SCALE: "LO"}
_HIGH_MMOL_L: Final = 13.9
_LOW_MMOL_L: Final = 3.0
# What a meter remembers of last month is history; nobody is woken for it.
RECENT: Final = timedelta(hours=24)
# Sugar at once is right for a LO of now. Of an earlier one is told that it was, and to measure; nor
# does that one keep what is shown now from being told.
OF_NOW: Final = timedelta(minutes=30)
# A meter whose clock is not set dates its whole memory by its arrival.
_UNDATED: Final = frozenset({DeviceFlag.TIME_OF_ARRIVAL, DeviceFlag.TIME_FAULT})
# A sensor says LO every five minutes: told again after an hour.
AGAIN: Final = timedelta(hours=1)


def word_of(checked: Checked) -> DeviceFlag | None:
    """The end of the scale that this reading asks for a notice by.

    Some devices give the end of their scale as the number, beside the bit: told where the number
    itself is level 2, so that a stray bit wakes nobody.
    """
    said = BEYOND.intersection(checked.flags)
    if checked.kind not in _KINDS or len(said) != 1:
        return None
    word = DeviceFlag(next(iter(said)))
    glucose_mmol_l = checked.values.get("glucose")
    if glucose_mmol_l is None:
        return word
    above = word is DeviceFlag.ABOVE_SCALE
    level_2 = glucose_mmol_l > _HIGH_MMOL_L if above else glucose_mmol_l < _LOW_MMOL_L
    return word if level_2 else None


async def tell(db: AsyncSession, person_id: UUID, stored: Iterable[Checked], now: datetime) -> None:
    """Tell of readings stored just now: the patient, who answers for a child, and the doctors
    whose visits they are part of."""
    newest: dict[DeviceFlag, tuple[bool, datetime]] = {}
    for checked in stored:
        word = word_of(checked)
        if word is not None and now - checked.taken_at <= RECENT:
            of_now = now - checked.taken_at <= OF_NOW and _UNDATED.isdisjoint(checked.flags)
            one = of_now, checked.taken_at
            newest[word] = max(one, newest.get(word, one))
    for word, (of_now, taken_at) in sorted(newest.items()):
        code = f"glucose_{word.value}" if of_now else "glucose_off_scale_before"
        params = {"at": taken_at.isoformat(), "said": _SHOWN[word]}
        await _tell(db, person_id, code, params, person_id, now)
        for guardian in await guardians_of(db, person_id, now, Tie.CHILD_HEALTH):
            await _tell(db, guardian, f"child_{code}", params, person_id, now)
        for visit in await _visits(db, person_id, taken_at, now):
            with suppress(ConsentWithdrawn):
                await require_consent(db, person_id, visit.organisation_id, now)
                await _tell(db, visit.doctor_id, f"visit_{code}", params, visit.id, now)


async def _tell(  # noqa: PLR0917 - whom, what, about what, when
    db: AsyncSession, told: UUID, code: str, params: dict[str, str], about: UUID, now: datetime
) -> None:
    """Once an hour of each thing."""
    before = select(Notices.id).where(
        Notices.person_id == told,
        Notices.at > now - AGAIN,
        Notices.code == code,
        Notices.params["said"].astext == params["said"],
        Notices.about_id == about,
    )
    if await db.scalar(before.limit(1)) is None:
        await notify(db, told, code, params, now, critical=True, about=about)


async def _visits(
    db: AsyncSession, person_id: UUID, taken_at: datetime, now: datetime
) -> list[Visits]:
    """The visits that are not over, whose readings this is one of and the doctor may see."""
    query = select(Visits).where(
        Visits.patient_id == person_id,
        Visits.state != VisitState.CLOSED.value,
        Visits.starts_at <= taken_at + READINGS_BEFORE,
        Visits.ends_at >= taken_at - OVERTIME,
        allowed(
            Act.SEE_VISIT_READINGS,
            Visits.doctor_id,
            now,
            subject=Visits.patient_id,
            organisation=Visits.organisation_id,
            about=(Visits.id,),
        ),
    )
    return list((await db.scalars(query)).all())
