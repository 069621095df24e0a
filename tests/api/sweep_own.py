"""Things of one person, planted so that the sweep can ask for them as their owner and as others."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from people.assistance import Assistances
from people.break_glass import BreakGlass
from people.cards import Cards
from people.consent_texts import ConsentTexts
from people.consents import Consents
from people.identities import Identities
from people.notice_targets import NoticeTargets
from people.notices import Notices
from people.policy import Kind, Right
from people.relations import grant
from people.shares import Shares
from storage.engine import new_id

HOUR = timedelta(hours=1)
# Path parameter → for each thing: who is what to it, and its id.
Own = dict[str, list[tuple[dict[str, str], str]]]


async def plant_own(
    db: AsyncSession, visits: list[dict[str, Any]], clerks: dict[str, str], now: datetime
) -> Own:
    """One thing of each kind for the patient of each visit, or between patient and doctor."""
    own: Own = {}
    for visit in {one["patient_id"]: one for one in reversed(visits)}.values():
        for name, (people, row) in _things(visit, clerks, now).items():
            db.add(row)
            own.setdefault(name, []).append((people, str(row.id)))
        consent, row = await _consent(db, visit, now)
        own.setdefault("consent_id", []).append((consent, str(row.id)))
        await db.flush()
        glass = own["glass_id"][-1][1]
        right = Right(
            actor_id=UUID(visit["doctor_id"]),
            kind=Kind.BREAK_GLASS,
            subject_id=UUID(visit["patient_id"]),
            organisation_id=UUID(visit["organisation_id"]),
            about_id=UUID(glass),
            since=now,
            until=now + HOUR,
        )
        await grant(db, right, "test")
    return own


def _things(
    visit: dict[str, Any], clerks: dict[str, str], now: datetime
) -> dict[str, tuple[dict[str, str], Any]]:
    person, doctor, clinic = (UUID(visit[f"{x}_id"]) for x in ("patient", "doctor", "organisation"))
    mine = {visit["patient_id"]: "self"}
    clerk = clerks.get(visit["organisation_id"], visit["doctor_id"])
    word = str(new_id())
    return {
        "notice_id": (
            mine,
            Notices(id=new_id(), person_id=person, code="x", params={}, critical=False, at=now),
        ),
        "target_id": (
            mine,
            NoticeTargets(
                id=new_id(),
                person_id=person,
                way="mail",
                address=f"{word}@example.org",
                made_at=now,
                asked_at=now,
                confirmed_at=now,
            ),
        ),
        "identity_id": (
            mine,
            Identities(id=new_id(), issuer="x", subject=word, person_id=person, linked_at=now),
        ),
        "share_id": (
            mine | {visit["doctor_id"]: "doctor"},
            Shares(
                id=new_id(),
                person_id=person,
                asked_by=doctor,
                organisation_id=clinic,
                asked_fields=["identity"],
                asked_at=now,
                answer_until=now + HOUR,
                fields=[],
            ),
        ),
        "assistance_id": (
            mine | {clerk: "clerk"},
            Assistances(
                id=new_id(),
                helper_id=UUID(clerk),
                person_id=person,
                organisation_id=clinic,
                since=now,
                until=now + HOUR,
            ),
        ),
        "glass_id": (
            {visit["doctor_id"]: "self"},
            BreakGlass(
                id=new_id(),
                organisation_id=clinic,
                doctor_id=doctor,
                patient_id=person,
                reason="-",
                opened_at=now,
                until=now + HOUR,
            ),
        ),
    }


async def _consent(
    db: AsyncSession, visit: dict[str, Any], now: datetime
) -> tuple[dict[str, str], Consents]:
    person, clinic = UUID(visit["patient_id"]), UUID(visit["organisation_id"])
    words = dict.fromkeys(("ru", "tt", "en"), "A text of the sweep, long enough to be one.")
    text = ConsentTexts(
        id=new_id(),
        organisation_id=clinic,
        purpose="share_profile",
        version=1,
        asks_again=False,
        published_at=now,
        **words,
    )
    row = Consents(
        id=new_id(),
        person_id=person,
        given_by=person,
        purpose="share_profile",
        organisation_id=clinic,
        scope=[],
        text_id=text.id,
        given_at=now,
    )
    db.add(text)
    await db.flush()
    db.add(row)
    return {visit["patient_id"]: "self"}, row


async def cards_of(
    db: AsyncSession, places: dict[str, dict[str, str]], now: datetime
) -> dict[str, str]:
    """A card of one member of every organisation."""
    cards = {}
    for place, members in places.items():
        person = next((one for one, what in members.items() if what == "member"), None)
        if person is None:
            continue
        key = new_id()
        row = Cards(
            id=key,
            person_id=UUID(person),
            organisation_id=UUID(place),
            number=str(key.int)[-12:],
            secret_sha256=key.bytes,
            issued_at=now,
        )
        db.add(row)
        cards[place] = str(key)
    await db.flush()
    return cards
