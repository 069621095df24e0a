"""Consents: whose word is needed at which age, what it counts for, and when it counts no more."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from people import consent_texts, consents
from people.consent_rules import Hand, Purpose, hands_needed
from people.consent_texts import ConsentTextChanged, NewText
from people.consents import BadScope, ConsentNotYours, Consents, NewConsent, agreed
from people.consents_shown import Asked, my_consents
from people.facts import RightsChanged, take
from people.organisations import OrganisationKind, Organisations
from people.persons import Persons
from people.policy import Kind, Right
from people.refused import Forbidden, NotFound
from people.relations import Relations, actor_of, grant
from storage.engine import new_id

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
SINCE = NOW - timedelta(days=30)
RECORDING, TELEMEDICINE = Purpose.RECORDING_LESSON, Purpose.TELEMEDICINE
OWN, GUARDIAN = Hand.OWN, Hand.GUARDIAN


@dataclass
class Family:
    """A school with its head, a pupil of 13 and two of 14, their mother and father, a teacher."""

    school: UUID
    clinic: UUID
    child: UUID
    teen: UUID
    mother: UUID
    father: UUID
    teacher: UUID
    head: UUID
    stranger: UUID


@pytest.fixture
async def family(db: AsyncSession) -> Family:
    """Everybody on the roster; nobody has agreed to anything."""
    return await furnish(db)


async def furnish(db: AsyncSession) -> Family:
    """Write the rows of the family and its places."""
    names = ("child", "teen", "mother", "father", "teacher", "head", "stranger")
    f = Family(new_id(), new_id(), *(new_id() for _ in names))
    born = {"child": date(2013, 3, 3), "teen": date(2012, 3, 2)}
    db.add(Organisations(id=f.school, kind="school", name="Гимназия"))
    db.add(Organisations(id=f.clinic, kind="clinic", name="Поликлиника"))
    for name in names:
        db.add(
            Persons(
                id=getattr(f, name),
                family_name="Вәлиев",
                given_name=name,
                born_on=born.get(name),
                created_at=SINCE,
            )
        )
    await db.flush()
    rights: list[tuple[UUID, Kind, UUID | None, UUID | None]] = [
        (f.teacher, Kind.DUTY, None, f.school),
        (f.head, Kind.ADMINISTRATION, None, f.school),
    ]
    for child in (f.child, f.teen):
        rights += [(child, Kind.CLASS, None, f.school), (child, Kind.ATTACHMENT, None, f.clinic)]
        for parent in (f.mother, f.father):
            rights += [(parent, k, child, None) for k in (Kind.CHILD_SCHOOL, Kind.CHILD_HEALTH)]
    for actor_id, kind, subject_id, place in rights:
        right = Right(
            actor_id=actor_id, kind=kind, subject_id=subject_id, organisation_id=place, since=SINCE
        )
        await grant(db, right, "test")
    return f


async def give(
    db: AsyncSession, who: UUID, place: UUID, purpose: Purpose = RECORDING, **more: object
) -> consents.Consent:
    """Give a word to the house's first text."""
    new = NewConsent(organisation_id=place, purpose=purpose, **{"version": 1, **more})  # type: ignore[arg-type]
    return await consents.give(db, await actor_of(db, who, NOW), new, NOW)


async def question(db: AsyncSession, reader: UUID, about: UUID, purpose: Purpose) -> Asked:
    """How something asked of a person stands for a reader."""
    shown = await my_consents(db, await actor_of(db, reader, NOW), NOW)
    of_person = next(one for one in shown if one.person.id == about)
    return next(one for one in of_person.asked if one.purpose is purpose)


@pytest.mark.parametrize(
    ("kind", "age", "hands"),
    [
        (OrganisationKind.SCHOOL, 13, {GUARDIAN}),
        (OrganisationKind.SCHOOL, 14, {OWN, GUARDIAN}),
        (OrganisationKind.SCHOOL, 17, {OWN, GUARDIAN}),
        (OrganisationKind.SCHOOL, 18, {OWN}),
        (OrganisationKind.CLINIC, 14, {GUARDIAN}),
        (OrganisationKind.CLINIC, 15, {OWN}),
        (OrganisationKind.SCHOOL, None, {OWN}),
    ],
)
def test_whose_word_is_needed_follows_from_age_and_place(
    kind: OrganisationKind, age: int | None, hands: set[Hand]
) -> None:
    """A step happens on the birthday itself."""
    day = date(2026, 3, 2)
    born_on = None if age is None else date(day.year - age, day.month, day.day)
    assert hands_needed(kind, born_on, day) == hands
    if age in {14, 15, 18} and born_on is not None:
        the_day_before = hands_needed(kind, born_on, day - timedelta(days=1))
        assert (the_day_before == hands) is (kind is OrganisationKind.CLINIC and age == 14)


async def test_a_guardian_speaks_for_a_child_and_at_14_both_do(
    db: AsyncSession, family: Family
) -> None:
    """Until every hand has spoken nobody has agreed."""
    both = {family.child, family.teen}
    for child in (family.child, family.teen):
        await give(db, family.mother, family.school, person_id=child)
    assert await agreed(db, both, RECORDING, family.school, NOW) == {family.child}
    await give(db, family.teen, family.school)
    assert await agreed(db, both, RECORDING, family.school, NOW) == both
    with pytest.raises(ConsentNotYours):
        await give(db, family.child, family.school)
    assert await agreed(db, both, RECORDING, family.clinic, NOW) == set()


async def test_nobody_speaks_for_somebody_elses_child(db: AsyncSession, family: Family) -> None:
    """A stranger and a teacher learn nothing, and an organisation that asks nothing gets nothing."""
    for who in (family.stranger, family.teacher):
        with pytest.raises(NotFound):
            await give(db, who, family.school, person_id=family.child)
    with pytest.raises(NotFound):
        await give(db, family.stranger, family.school)
    with pytest.raises(NotFound):
        await give(db, family.mother, family.clinic, person_id=family.child)
    given = await give(db, family.mother, family.school, person_id=family.child)
    stranger = await actor_of(db, family.stranger, NOW)
    for verb in (consents.withdraw, consents.text_of, consents.get_consent):
        with pytest.raises(NotFound):
            await verb(db, stranger, given.id, NOW)


async def test_a_word_taken_back_counts_no_more_and_is_announced(
    db: AsyncSession, family: Family
) -> None:
    """The other parent may take it back too; the child may see it, and not take it back."""
    given = await give(db, family.mother, family.school, person_id=family.child)
    assert RightsChanged(at=NOW, person_id=family.child) in take(db)
    child = await actor_of(db, family.child, NOW)
    assert (await consents.get_consent(db, child, given.id, NOW)).live
    with pytest.raises(ConsentNotYours):
        await consents.withdraw(db, child, given.id, NOW)
    father = await actor_of(db, family.father, NOW)
    for _ in range(2):
        taken = await consents.withdraw(db, father, given.id, NOW)
        assert (taken.live, taken.ended_at) == (False, NOW)
    assert [fact for fact in take(db) if isinstance(fact, RightsChanged)] == [
        RightsChanged(at=NOW, person_id=family.child)
    ]
    assert await agreed(db, {family.child}, RECORDING, family.school, NOW) == set()


async def test_who_speaks_for_a_child_no_more_takes_no_word_back(
    db: AsyncSession, family: Family
) -> None:
    """Not even the word he gave himself: it would end what goes on without him."""
    given = await give(db, family.mother, family.clinic, TELEMEDICINE, person_id=family.child)
    ended = update(Relations).where(Relations.actor_id == family.mother).values(until=NOW)
    await db.execute(ended)
    with pytest.raises(ConsentNotYours):
        await consents.withdraw(db, await actor_of(db, family.mother, NOW), given.id, NOW)


async def test_at_fifteen_a_parent_takes_no_old_word_back(db: AsyncSession, family: Family) -> None:
    """Health is the teen's then, although the parent still sees it; the teen may end the word."""
    given = await give(db, family.mother, family.clinic, TELEMEDICINE, person_id=family.teen)
    later = NOW + timedelta(days=366)
    for parent in (family.mother, family.father):
        with pytest.raises(ConsentNotYours):
            await consents.withdraw(db, await actor_of(db, parent, later), given.id, later)
    teen = await actor_of(db, family.teen, later)
    assert (await consents.withdraw(db, teen, given.id, later)).ended_at == later


async def test_a_parent_never_takes_back_the_teens_own_word(
    db: AsyncSession, family: Family
) -> None:
    """At 14 both words are needed for a lesson: each ends his own side's."""
    own = await give(db, family.teen, family.school)
    with pytest.raises(ConsentNotYours):
        await consents.withdraw(db, await actor_of(db, family.mother, NOW), own.id, NOW)


async def test_a_word_given_twice_at_once_is_one_word(engine: AsyncEngine) -> None:
    """As two taps do: the second waits for the first, and takes its place."""
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    async with sessions() as db, db.begin():
        family = await furnish(db)

    async def tap() -> UUID:
        async with sessions() as db, db.begin():
            return (await give(db, family.teacher, family.school)).id

    await asyncio.gather(*(tap() for _ in range(4)))
    words = select(Consents.why).where(Consents.person_id == family.teacher)
    async with sessions() as db:
        found = (await db.scalars(words)).all()
    assert sorted(found, key=str) == [None, *["replaced"] * 3]


async def test_a_guardians_word_falls_with_his_right(db: AsyncSession, family: Family) -> None:
    """Whoever is no guardian any more has agreed to nothing."""
    await give(db, family.mother, family.school, person_id=family.child)
    ended = update(Relations).where(Relations.actor_id == family.mother).values(until=NOW)
    await db.execute(ended)
    assert await agreed(db, {family.child}, RECORDING, family.school, NOW) == set()


async def test_a_word_ends_by_itself(db: AsyncSession, family: Family) -> None:
    """On the day that was chosen, at the latest after the life of its purpose."""
    await give(db, family.teacher, family.school, days=7)
    teacher, week, year = {family.teacher}, timedelta(days=7), timedelta(days=365)
    last = NOW + week - timedelta(seconds=1)
    assert await agreed(db, teacher, RECORDING, family.school, last) == teacher
    assert await agreed(db, teacher, RECORDING, family.school, NOW + week) == set()
    longest = await give(db, family.teacher, family.school, days=366)
    assert longest.expires_at == NOW + year
    assert await agreed(db, teacher, RECORDING, family.school, NOW) == teacher


async def test_a_word_for_the_class_is_none_for_the_school(
    db: AsyncSession, family: Family
) -> None:
    """And only a recording has such a circle."""
    teacher = {family.teacher}
    for audience, expected in (("class", set()), ("school", teacher)):
        await give(db, family.teacher, family.school, audience=audience)
        both = [
            await agreed(db, teacher, RECORDING, family.school, NOW, scope=scope)
            for scope in ("class", "school")
        ]
        assert both == [teacher, expected]
    with pytest.raises(BadScope):
        await give(
            db,
            family.mother,
            family.school,
            Purpose.DATA_PROCESSING,
            person_id=family.child,
            audience="class",
        )


async def test_a_new_text_asks_again_only_when_its_meaning_changed(
    db: AsyncSession, family: Family
) -> None:
    """Old words keep their text; what is read must be the text that is agreed to."""
    given = await give(db, family.teacher, family.school)
    head = await actor_of(db, family.head, NOW)
    teacher = await actor_of(db, family.teacher, NOW)
    for version, asks_again in ((1, False), (2, True)):
        new = NewText(
            purpose=RECORDING,
            after=version,
            **dict.fromkeys(("ru", "tt", "en"), f"Words of version {version + 1}, as published."),
            asks_again=asks_again,
        )
        published = await consent_texts.publish(db, head, family.school, new, NOW)
        assert published.version == version + 1
        with pytest.raises(ConsentTextChanged) as changed:
            await consent_texts.publish(db, head, family.school, new, NOW)
        assert changed.value.params == {"version": version + 1}
        have = await agreed(db, {family.teacher}, RECORDING, family.school, NOW)
        assert (have == set()) is asks_again
    asked = await question(db, family.teacher, family.teacher, RECORDING)
    assert (asked.asked_again, asked.may_give, asked.text.version) == (True, True, 3)
    kept = await consents.text_of(db, teacher, given.id, NOW)
    assert (kept.version, "красный знак" in kept.ru) == (1, True)
    with pytest.raises(ConsentTextChanged):
        await give(db, family.teacher, family.school)
    await give(db, family.teacher, family.school, version=3)
    asked = await question(db, family.teacher, family.teacher, RECORDING)
    assert (asked.agreed, asked.asked_again, asked.may_give) == (True, False, False)


async def test_texts_are_for_the_administrator_of_their_organisation(
    db: AsyncSession, family: Family
) -> None:
    """A teacher is refused, a stranger and the head of another place learn nothing."""
    head = await actor_of(db, family.head, NOW)
    shown = await consent_texts.list_texts(db, head, family.school, NOW)
    assert [(one.purpose, one.version, one.current) for one in shown] == [
        (Purpose.DATA_PROCESSING, 1, True),
        (RECORDING, 1, True),
    ]
    teacher = await actor_of(db, family.teacher, NOW)
    with pytest.raises(Forbidden):
        await consent_texts.list_texts(db, teacher, family.school, NOW)
    with pytest.raises(NotFound):
        await consent_texts.list_texts(db, head, family.clinic, NOW)


async def test_a_page_shows_what_is_asked_of_me_and_of_my_children(
    db: AsyncSession, family: Family
) -> None:
    """A parent speaks for both places of a child; the child of 13 sees, and has nothing to give."""
    await give(db, family.mother, family.school, person_id=family.child)
    shown = await my_consents(db, await actor_of(db, family.mother, NOW), NOW)
    assert [(one.person.id, one.own, len(one.asked)) for one in shown] == [
        (family.mother, True, 0),
        *((child, False, 5) for child in sorted((family.child, family.teen))),
    ]
    asked = await question(db, family.mother, family.child, RECORDING)
    assert (asked.needs, asked.agreed, asked.may_give) == ([GUARDIAN], True, False)
    assert asked.mine == asked.given[0].id
    beside = await question(db, family.father, family.child, RECORDING)
    assert (beside.agreed, beside.mine, beside.may_give) == (True, None, True)
    own = await question(db, family.child, family.child, RECORDING)
    assert (own.agreed, own.may_give) == (True, False)
    teen = await question(db, family.teen, family.teen, RECORDING)
    assert (teen.needs, teen.agreed, teen.may_give) == ([GUARDIAN, OWN], False, True)
