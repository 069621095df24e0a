"""Whose word a consent needs. Pure: a purpose, a date of birth and a day in, hands out.

    health   under 15 a guardian's, from 15 on the person's own (323-FZ art. 20 part 2)
    other    under 14 a guardian's, from 14 to 17 both (house rule after Civil Code art. 26),
             from 18 on the person's own

Whatever a clinic asks for is health. Without a date of birth a person counts as grown up.
"""

from datetime import date, timedelta
from enum import StrEnum

from people.ages import GROWN_UP, TEEN_DECIDES, TEEN_IS_TOLD, age_on
from people.organisations import OrganisationKind


class Purpose(StrEnum):
    """What a consent is for."""

    DATA_PROCESSING = "data_processing"
    TELEMEDICINE = "telemedicine"
    RECORDING_LESSON = "recording_lesson"
    RECORDING_VISIT = "recording_visit"
    SHARE_PROFILE = "share_profile"


class Hand(StrEnum):
    """By whom a word is given."""

    OWN = "own"
    GUARDIAN = "guardian"


_OWN, _GUARDIAN = frozenset({Hand.OWN}), frozenset({Hand.GUARDIAN})

# What an organisation asks its people for, in the order of a page. Sharing is asked by its QR.
PURPOSES: dict[OrganisationKind, tuple[Purpose, ...]] = {
    OrganisationKind.CLINIC: (
        Purpose.DATA_PROCESSING,
        Purpose.TELEMEDICINE,
        Purpose.RECORDING_VISIT,
    ),
    OrganisationKind.SCHOOL: (Purpose.DATA_PROCESSING, Purpose.RECORDING_LESSON),
}
# A word is asked for again after this; one without a life holds until it is taken back.
LIFE: dict[Purpose, timedelta] = {
    Purpose.TELEMEDICINE: timedelta(days=365),
    Purpose.RECORDING_LESSON: timedelta(days=365),
    Purpose.RECORDING_VISIT: timedelta(days=365),
}


def hands_needed(kind: OrganisationKind, born_on: date | None, day: date) -> frozenset[Hand]:
    """Whose word an organisation of this kind needs on `day`; every one of them."""
    if born_on is None:
        return _OWN
    age = age_on(born_on, day)
    if kind is OrganisationKind.CLINIC:
        return _OWN if age >= TEEN_DECIDES else _GUARDIAN
    if age >= GROWN_UP:
        return _OWN
    return _OWN | _GUARDIAN if age >= TEEN_IS_TOLD else _GUARDIAN
