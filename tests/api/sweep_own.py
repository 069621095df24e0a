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


class Helpers:
    """Of each organisation its clerk, where it has one, and its administrators."""

    def __init__(self, places: dict[str, dict[str, str]]) -> None:
        self.clerks = {
            place: who
            for place, members in places.items()
            for who, what in members.items()
            if what == "clerk"
        }
        self.administrators = {
            place: {who: what for who, what in members.items() if what == "administrator"}
            for place, members in places.items()
        }


async def plant_own(
    db: AsyncSession, visits: list[dict[str, Any]], places: dict[str, dict[str, str]], now: datetime
) -> Own:
    """One thing of each kind for the patient of each visit, or between patient and doctor."""
    own: Own = {}
    helpers = Helpers(places)
    for visit in {one["patient_id"]: one for one in reversed(visits)}.values():
        for name, (people, row) in _things(visit, helpers, now).items():
            db.add(row)
            own.setdefault(name, []).append((people, str(row.id)))
        consent, row = await _consent(db, visit, now)
        own.setdefault("consent_id", []).append((consent, str(row.id)))
        await db.flush()
        await _given(db, visit, Kind.BREAK_GLASS, own["glass_id"][-1], now)
        if visit["organisation_id"] in helpers.clerks:
            await _given(db, visit, Kind.ASSISTANCE, own["assistance_id"][-1], now)
    return own


async def _given(
    db: AsyncSession,
    visit: dict[str, Any],
    kind: Kind,
    thing: tuple[dict[str, str], str],
    now: datetime,
) -> None:
    """The right that goes with an emergency or with help at the desk."""
    words = {Kind.BREAK_GLASS: "self", Kind.ASSISTANCE: "clerk"}
    holder = next(person for person, what in thing[0].items() if what == words[kind])
    right = Right(
        actor_id=UUID(holder),
        kind=kind,
        subject_id=UUID(visit["patient_id"]),
        organisation_id=UUID(visit["organisation_id"]),
        about_id=UUID(thing[1]),
        since=now,
        until=now + HOUR,
    )
    await grant(db, right, "test")


def _things(
    visit: dict[str, Any], helpers: "Helpers", now: datetime
) -> dict[str, tuple[dict[str, str], Any]]:
    person, doctor, clinic = (UUID(visit[f"{x}_id"]) for x in ("patient", "doctor", "organisation"))
    mine = {visit["patient_id"]: "self"}
    place = visit["organisation_id"]
    clerk = helpers.clerks.get(place, visit["doctor_id"])
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
            mine | ({clerk: "clerk"} if clerk != visit["doctor_id"] else {}),
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
            {visit["doctor_id"]: "self"} | helpers.administrators[place],
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
