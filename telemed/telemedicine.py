"""A remote visit rests on the patient's word: taken back, nobody sits in it any more.

Nor does anybody but the patient look at what is measured for it. The papers stay: the note, and
the data of a visit that was closed before, are the clinic's to keep.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, bindparam, exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from people.consent_rules import Purpose
from people.consents import Consents, agreed
from people.refused import Refused

_later = aliased(Consents)


def _taken_back(*more: ColumnElement[bool]) -> Select[bool]:
    """Whether a word was taken back and not given again."""
    given_again = exists().where(
        _later.person_id == Consents.person_id,
        _later.organisation_id == Consents.organisation_id,
        _later.purpose == Consents.purpose,
        _later.given_at > Consents.ended_at,
    )
    back = exists().where(
        Consents.person_id == bindparam("patient_id"),
        Consents.organisation_id == bindparam("organisation_id"),
        Consents.purpose == Purpose.TELEMEDICINE.value,
        Consents.why == "withdrawn",
        ~given_again,
        *more,
    )
    return select(back)


# Made once: every look at what is measured for a visit asks.
_EVER = _taken_back()
_BEFORE = _taken_back(Consents.ended_at < bindparam("before"))


class ConsentWithdrawn(Refused):
    """The patient took back the consent to be treated at a distance; talk in another way."""

    status = 403
    code = "consent_withdrawn"


async def require_consent(
    db: AsyncSession,
    patient_id: UUID,
    organisation_id: UUID,
    now: datetime,
    *,
    before: datetime | None = None,
) -> None:
    """Refuse (ConsentWithdrawn) after a word that was taken back and not given again.

    A word given later stands for itself: when it runs out nobody has taken anything back. With
    `before` only a word that was taken back before then counts.
    """
    values = {"patient_id": patient_id, "organisation_id": organisation_id, "before": before}
    if not await db.scalar(_EVER if before is None else _BEFORE, values):
        return
    if not await agreed(db, [patient_id], Purpose.TELEMEDICINE, organisation_id, now):
        raise ConsentWithdrawn
