"""Lists brought into an organisation: whole or not at all, nobody twice, nobody of elsewhere."""

from datetime import date, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts
from people.audit import AuditActs
from people.facts import RightsChanged, SessionEnded
from people.imports import (
    ImportHasBadRows,
    ImportReport,
    Mode,
    NewPerson,
    PossibleDouble,
    add_person,
    import_people,
)
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.refused import Forbidden, NotFound, Refused
from people.relations import Relations, actor_of, grant
from people.roster import RosterEntries
from people.roster_rows import RosterRole, read_roster
from people.sessions import start_session
from storage.engine import new_id

HEADER = "sourcedId,given_name,family_name,born_on,role,class"
LETTERS = "абвгдежзик"


def word(n: int) -> str:
    return "".join(LETTERS[int(digit)] for digit in f"{n:03}").capitalize()


def pupils(count: int, *, bad: int | None = None) -> bytes:
    rows = [
        f"u{n},Илназ,{'' if n == bad else word(n)},2013-05-{n % 28 + 1:02},pupil,5Б"
        for n in range(count)
    ]
    return "\n".join([HEADER, *rows]).encode()


def rows_of(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows]).encode()


@pytest.fixture
async def school(db: AsyncSession) -> Organisations:
    row = Organisations(id=new_id(), kind="school", name="Гимназия")
    db.add(row)
    await db.flush()
    return row


@pytest.fixture
async def head(db: AsyncSession, school: Organisations, now: datetime) -> Actor:
    """The school's administrator."""
    return await somebody(db, school, Kind.ADMINISTRATION, now)


async def somebody(
    db: AsyncSession, place: Organisations, kind: Kind, now: datetime, *, name: str = "Фәрит"
) -> Actor:
    person = Persons(id=new_id(), given_name=name, family_name="Шакиров", created_at=now)
    db.add(person)
    await db.flush()
    right = Right(actor_id=person.id, kind=kind, organisation_id=place.id, since=now)
    await grant(db, right, "test")
    return await actor_of(db, person.id, now)


async def brought(
    db: AsyncSession, head: Actor, school: Organisations, data: bytes, now: datetime, *, mode: Mode
) -> ImportReport:
    roster = read_roster(data, now.date())
    report, _ = await import_people(db, head, school.id, roster, now, mode=mode)
    return report


async def count(db: AsyncSession, school: Organisations) -> int:
    query = select(func.count()).where(RosterEntries.organisation_id == school.id)
    return await db.scalar(query) or 0


async def test_500_rows_one_of_them_bad(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """Looked at: nothing stored. Whole: refused with the line. Skipping: 499, and again none."""
    data = pupils(500, bad=41)
    looked = await brought(db, head, school, data, now, mode="look")
    assert (looked.stored, looked.rows, looked.new, looked.classes) == (False, 500, 499, ["5Б"])
    assert [(one.line, one.field, one.code) for one in looked.bad] == [
        (43, "family_name", "missing")
    ]
    assert await count(db, school) == 0
    with pytest.raises(ImportHasBadRows) as refused:
        await brought(db, head, school, data, now, mode="whole")
    assert refused.value.errors[0].field == ":43:family_name"
    assert await count(db, school) == 0
    stored = await brought(db, head, school, data, now, mode="skip")
    assert (stored.stored, stored.new, await count(db, school)) == (True, 499, 499)
    again = await brought(db, head, school, pupils(500), now, mode="whole")
    assert (again.new, again.same, again.changed, await count(db, school)) == (1, 499, 0, 500)
    acts = select(func.count()).where(AuditActs.act == "import_people")
    assert await db.scalar(acts.where(AuditActs.organisation_id == school.id)) == 2


async def test_a_list_without_numbers_makes_nobody_twice(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """Name and date of birth tell; without the date nobody can, and the row is reported."""
    data = rows_of(",Артём,Лебедев,2013-05-01,pupil,5Б", ",Олег,Ким,,pupil,5Б")
    assert (await brought(db, head, school, data, now, mode="whole")).new == 2
    again = await brought(db, head, school, data, now, mode="skip")
    assert (again.new, again.same) == (0, 1)
    assert [(one.line, one.code) for one in again.bad] == [(3, "possible_double")]
    folded = rows_of(",артем,ЛЕБЕДЕВ,2013-05-01,pupil,5Б")
    assert (await brought(db, head, school, folded, now, mode="look")).new == 0


async def test_namesakes_with_other_births_are_two(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """A school has them."""
    data = rows_of(",Олег,Ким,2013-05-01,pupil,5Б", ",Олег,Ким,2012-05-01,pupil,6Б")
    assert (await brought(db, head, school, data, now, mode="whole")).new == 2
    without = rows_of(",Олег,Ким,,pupil,5Б")
    looked = await brought(db, head, school, without, now, mode="look")
    assert [one.code for one in looked.bad] == ["possible_double"]


async def test_namesakes_within_one_list_are_told_apart_by_number_or_not_at_all(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """Two numbers say: two people."""
    numbered = rows_of("u1,Олег,Ким,,pupil,5Б", "u2,Олег,Ким,,pupil,6Б")
    assert (await brought(db, head, school, numbered, now, mode="look")).new == 2
    nameless = rows_of(",Олег,Ким,,pupil,5Б", ",Олег,Ким,,pupil,6Б")
    looked = await brought(db, head, school, nameless, now, mode="look")
    assert (looked.new, [one.line for one in looked.bad]) == (1, [3])


async def test_a_number_is_taken_over_and_stays_ones_own(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """Known by name and birth, later by the number; another number is another person or a doubt."""
    await brought(db, head, school, rows_of(",Олег,Ким,2013-05-01,pupil,5Б"), now, mode="whole")
    numbered = rows_of("u1,Олег,Ким,2013-05-01,pupil,5Б")
    assert (await brought(db, head, school, numbered, now, mode="whole")).changed == 1
    renamed = rows_of("u1,Олег,Цой,2013-05-01,pupil,5Б")
    assert (await brought(db, head, school, renamed, now, mode="whole")).changed == 1
    other = rows_of("u2,Олег,Цой,2013-05-01,pupil,5Б")
    looked = await brought(db, head, school, other, now, mode="look")
    assert [one.code for one in looked.bad] == ["possible_double"]


async def test_a_list_never_changes_a_date_of_birth(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """Who may act for a child hangs on it."""
    await brought(db, head, school, rows_of("u1,Олег,Ким,2013-05-01,pupil,5Б"), now, mode="whole")
    older = rows_of("u1,Олег,Ким,2008-05-01,pupil,5Б")
    looked = await brought(db, head, school, older, now, mode="look")
    assert [one.code for one in looked.bad] == ["born_on_differs"]


async def test_who_belongs_elsewhere_too_keeps_the_name_known_there(
    db: AsyncSession, school: Organisations, clinic: Organisations, head: Actor, now: datetime
) -> None:
    """One organisation's typist does not rename another's patient."""
    await brought(db, head, school, rows_of("u1,Олег,Ким,,pupil,5Б"), now, mode="whole")
    person_id = await db.scalar(select(RosterEntries.person_id))
    assert person_id is not None
    right = Right(actor_id=person_id, kind=Kind.ATTACHMENT, organisation_id=clinic.id, since=now)
    await grant(db, right, "test")
    renamed = rows_of("u1,Олег,Цой,2013-05-01,pupil,5Б")
    assert (await brought(db, head, school, renamed, now, mode="whole")).same == 1
    person = await db.get_one(Persons, person_id)
    assert (person.family_name, person.born_on) == ("Ким", None)


async def test_a_person_of_another_organisation_is_never_found(
    db: AsyncSession, school: Organisations, clinic: Organisations, head: Actor, now: datetime
) -> None:
    """A list is no way to learn who is a patient: the namesake there is nobody here."""
    there = await somebody(db, clinic, Kind.ATTACHMENT, now, name="Олег")
    row = rows_of(",Олег,Шакиров,,pupil,5Б")
    assert (await brought(db, head, school, row, now, mode="whole")).new == 1
    assert (
        await db.scalar(select(RosterEntries.person_id).where(RosterEntries.person_id == there.id))
        is None
    )


async def test_roles_become_hats_of_this_organisation_only(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """A teacher is on duty; parents and pupils get no right from here; a doctor is not of a school."""
    data = rows_of(
        "t1,Анна,Ли,,teacher,", "m1,Дина,Ли,,parent,", "p1,Олег,Ли,,pupil,5Б", "d1,Иван,Ли,,doctor,"
    )
    report = await brought(db, head, school, data, now, mode="skip")
    assert [(one.line, one.code) for one in report.bad] == [(5, "role_not_here")]
    query = (
        select(RosterEntries.source_id, Relations.kind)
        .join(Relations, Relations.actor_id == RosterEntries.person_id)
        .where(RosterEntries.organisation_id == school.id)
    )
    assert [tuple(row) for row in await db.execute(query)] == [("t1", "duty")]
    await brought(db, head, school, data, now, mode="skip")
    assert len((await db.execute(query)).all()) == 1


async def test_everybody_a_list_changes_can_see_who_did_it(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """A row for each hat given and each name written anew; none for who stays as he is."""
    first = rows_of("t1,Анна,Ли,,teacher,", "m1,Дина,Ли,,parent,")
    await brought(db, head, school, first, now, mode="whole")
    await brought(db, head, school, first, now, mode="whole")
    second = rows_of("t1,Анна,Ли,,teacher,", "m1,Дина,Ким,1980-01-02,clerk,")
    await brought(db, head, school, second, now, mode="whole")
    query = (
        select(RosterEntries.source_id, AuditActs.act, AuditActs.details, AuditActs.actor_id)
        .join(AuditActs, AuditActs.subject_id == RosterEntries.person_id)
        .where(AuditActs.organisation_id == school.id, AuditActs.act != "session_ended")
        .order_by(AuditActs.act, RosterEntries.source_id)
    )
    assert [tuple(row) for row in await db.execute(query)] == [
        ("m1", "give_hat", {"hat": "clerkship", "by": "list"}, head.id),
        ("t1", "give_hat", {"hat": "duty", "by": "list"}, head.id),
        ("m1", "rewrite_person", {"by": "list"}, head.id),
    ]


async def test_whoever_becomes_staff_by_a_list_signs_in_anew(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """The session of a parent's card must not grow into a teacher's."""
    await brought(db, head, school, rows_of("m1,Дина,Ли,,parent,"), now, mode="whole")
    person_id = await db.scalar(select(RosterEntries.person_id))
    assert person_id is not None
    await start_session(db, person_id, "192.0.2.0/24", now, staff=False)
    facts.take(db)
    await brought(db, head, school, rows_of("m1,Дина,Ли,,teacher,"), now, mode="whole")
    told = {type(fact) for fact in facts.take(db)}
    assert told == {SessionEnded, RightsChanged}


async def test_who_was_let_go_is_not_taken_back_by_a_list(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """An old file must not give a dismissed teacher the hat again."""
    await brought(db, head, school, rows_of("t1,Анна,Ли,,teacher,"), now, mode="whole")
    entry = await db.scalar(select(RosterEntries))
    assert entry is not None
    entry.until = now
    await db.flush()
    later = now + timedelta(minutes=1)
    again = await brought(db, head, school, rows_of("t1,Анна,Ли,,teacher,"), later, mode="skip")
    assert [one.code for one in again.bad] == ["let_go"]


async def test_only_the_administrator_of_the_organisation_brings_lists(
    db: AsyncSession, school: Organisations, clinic: Organisations, head: Actor, now: datetime
) -> None:
    """A teacher of the school is forbidden; for anybody else it is not there."""
    teacher = await somebody(db, school, Kind.DUTY, now)
    with pytest.raises(Forbidden):
        await brought(db, teacher, school, pupils(1), now, mode="look")
    stranger = await somebody(db, clinic, Kind.ADMINISTRATION, now)
    with pytest.raises(NotFound):
        await brought(db, stranger, school, pupils(1), now, mode="look")
    with pytest.raises(NotFound):
        await brought(db, head, clinic, pupils(1), now, mode="look")


async def test_one_person_is_added_as_by_a_list(
    db: AsyncSession, school: Organisations, head: Actor, now: datetime
) -> None:
    """The same rules; a possible double is asked about and may be answered."""
    new = NewPerson(given_name="Олег", family_name="Ким", role=RosterRole.PUPIL, class_name="5Б")
    added, seats = await add_person(db, head, school.id, new, now)
    assert [(seat.person_id, seat.classes) for seat in seats] == [(added.id, ("5Б",))]
    with pytest.raises(PossibleDouble):
        await add_person(db, head, school.id, new, now)
    surely = NewPerson(given_name="Олег", family_name="Ким", role=RosterRole.PUPIL, surely_new=True)
    another, _ = await add_person(db, head, school.id, surely, now)
    assert another.id != added.id
    tomorrow = date(2026, 3, 3)
    unborn = NewPerson(given_name="=А1", family_name="Ким", role=RosterRole.PUPIL, born_on=tomorrow)
    with pytest.raises(Refused, match="bad_person") as refused:
        await add_person(db, head, school.id, unborn, now)
    assert [(error.field, error.code) for error in refused.value.errors] == [
        ("given_name", "malformed")
    ]
