"""Consents as their page shows them: what is asked of me and my children, and how it stands."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.ages import local_day
from people.consent_asked import asked_of
from people.consent_rules import Hand, Purpose, hands_needed
from people.consent_texts import ConsentText, ConsentTexts, current_texts, shown
from people.consents import Consent, Consents, act_for, hand_of, read, visible_to
from people.organisations import OrganisationKind, Organisations, Ref
from people.persons import Persons, full_name
from people.policy import Actor, Kind, Thing, may

_CHILD_KINDS = frozenset({Kind.CHILD_HEALTH, Kind.CHILD_SCHOOL})
_PAST = 20


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an organisation asks somebody for, and how it stands.

    `given`: words that count. `mine`: the reader's own among them. `may_give`: one more word is
    the reader's to give. `asked_again`: an earlier word counts no more, for another text or time.
    """

    organisation: Ref
    purpose: Purpose
    text: ConsentText
    needs: list[Hand]
    given: list[Consent]
    agreed: bool
    mine: UUID | None
    may_give: bool
    asked_again: bool


class ConsentsOf(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is asked for one person, and what was agreed to before."""

    person: Ref
    own: bool
    asked: list[Asked]
    past: list[Consent]


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """What a question is about; the reader's word is judged by it."""

    reader: Actor
    person: Persons
    place: Organisations
    text: ConsentTexts
    words: list[Consent]


async def my_consents(db: AsyncSession, actor: Actor, now: datetime) -> list[ConsentsOf]:
    """What is asked of the actor and of the children he speaks for, and how it stands."""
    if actor.id is None:
        return []
    children = {r.subject_id for r in actor.rights if r.kind in _CHILD_KINDS and r.live(now)}
    ids = [actor.id, *sorted(one for one in children if one not in {None, actor.id})]
    people = {one.id: one for one in await db.scalars(select(Persons).where(Persons.id.in_(ids)))}
    asked = await asked_of(db, ids, now)
    place_ids = {place_id for of_person in asked.values() for place_id in of_person}
    texts = await current_texts(db, place_ids)
    query = select(Organisations).where(Organisations.id.in_(place_ids))
    places = {one.id: one for one in await db.scalars(query)}
    words = await read(db, visible_to(actor.id, now).where(Consents.person_id.in_(ids)), now)
    found: list[ConsentsOf] = []
    for person_id in ids:
        person = people[person_id]
        of_person = [word for owner_id, word in words if owner_id == person_id]
        questions = [
            _asked(
                _Case(
                    reader=actor,
                    person=person,
                    place=places[place_id],
                    text=texts[place_id, purpose],
                    words=of_person,
                ),
                now,
            )
            for place_id, purposes in asked[person_id].items()
            if _speaks(actor, person_id, places[place_id], now)
            for purpose in purposes
        ]
        past = [word for word in of_person if not word.live][:_PAST]
        name = full_name(person.given_name, person.family_name)
        found.append(
            ConsentsOf(
                person=Ref(person_id, name), own=person_id == actor.id, asked=questions, past=past
            )
        )
    return found


def _speaks(actor: Actor, person_id: UUID, place: Organisations, now: datetime) -> bool:
    act = act_for(actor, person_id, OrganisationKind(place.kind))
    return may(actor, act, Thing(subject_id=person_id), now)


def _asked(case: _Case, now: datetime) -> Asked:
    purpose = Purpose(case.text.purpose)
    kind, day = OrganisationKind(case.place.kind), local_day(now, case.place.timezone)
    needs = hands_needed(kind, case.person.born_on, day)
    words = [w for w in case.words if (w.organisation.id, w.purpose) == (case.place.id, purpose)]
    given = [word for word in words if word.live]
    mine = next((word.id for word in given if word.given_by.id == case.reader.id), None)
    hands = {hand_of(case.person.id, word.given_by.id) for word in given}
    my_hand = hand_of(case.person.id, case.reader.id) if case.reader.id else None
    lapsed = [word for word in words if word.ended_at is None and not word.live]
    return Asked(
        organisation=Ref(case.place.id, case.place.name),
        purpose=purpose,
        text=shown(case.text),
        needs=sorted(needs),
        given=given,
        agreed=needs <= hands,
        mine=mine,
        may_give=my_hand in needs and mine is None,
        asked_again=bool(lapsed) and not needs <= hands,
    )
