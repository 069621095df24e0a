"""Guardians out of a list: proposed once, told to who has a say, and nothing open before a yes."""

from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.guardian_steps import confirm_here, end_here
from people.guardians import Guardianships
from people.households import list_guardianships
from people.imports import ImportHasBadRows, ImportReport, Mode, import_people
from people.notices import Notices
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Actor, Kind, Right, Thing, may
from people.relations import Relations, actor_of, grant
from people.roster_rows import read_roster
from storage.engine import new_id

HEADER = "sourcedId,given_name,family_name,born_on,role,guardians"
CHILD = "u1,Айдар,Вәлиев,2013-05-17,patient,g1"
FATHER = "g1,Дамир,Вәлиев,,parent,"


@pytest.fixture
async def head(db: AsyncSession, clinic: Organisations, now: datetime) -> Actor:
    """The clinic's administrator."""
    row = Persons(id=new_id(), given_name="Гөлнара", family_name="Сафина", created_at=now)
    db.add(row)
    await db.flush()
    hat = Right(actor_id=row.id, kind=Kind.ADMINISTRATION, organisation_id=clinic.id, since=now)
    await grant(db, hat, "test")
    return await actor_of(db, row.id, now)


async def brought(
    db: AsyncSession, head: Actor, rows: tuple[str, ...], now: datetime, mode: Mode = "whole"
) -> ImportReport:
    """Send a list of these rows."""
    (hat,) = head.rights
    assert hat.organisation_id is not None
    roster = read_roster("\n".join([HEADER, *rows]).encode(), now.date())
    report, _ = await import_people(db, head, hat.organisation_id, roster, now, mode=mode)
    return report


async def whose(db: AsyncSession, given_name: str) -> UUID:
    found = await db.scalar(select(Persons.id).where(Persons.given_name == given_name))
    assert found is not None
    return found


async def test_a_guardian_of_a_list_waits_for_a_yes(
    db: AsyncSession, head: Actor, clinic: Organisations, now: datetime
) -> None:
    """Looking writes nothing; storing proposes; only the administrator's yes opens the child."""
    assert (await brought(db, head, (CHILD, FATHER), now, "look")).guardians == 1
    assert await db.scalar(select(Guardianships.id)) is None
    assert (await brought(db, head, (CHILD, FATHER), now)).guardians == 1
    father, child = await whose(db, "Дамир"), await whose(db, "Айдар")
    (tie,) = await list_guardianships(db, head, clinic.id, now)
    assert (tie.guardian.id, tie.child.id, tie.to_confirm) == (father, child, True)
    record = Thing(subject_id=child, organisation_id=clinic.id)
    assert not may(await actor_of(db, father, now), Act.SEE_RECORD, record, now)
    assert await db.scalar(select(Relations.id).where(Relations.actor_id == father)) is None
    await confirm_here(db, head, clinic.id, tie.id, now)
    assert may(await actor_of(db, father, now), Act.SEE_RECORD, record, now)


async def test_a_list_sent_again_proposes_nobody_twice_and_nobody_who_was_ended(
    db: AsyncSession, head: Actor, clinic: Organisations, now: datetime
) -> None:
    """What a human ended no file brings back."""
    await brought(db, head, (CHILD, FATHER), now)
    assert (await brought(db, head, (CHILD, FATHER), now)).guardians == 0
    (tie,) = await list_guardianships(db, head, clinic.id, now)
    await end_here(db, head, clinic.id, tie.id, now)
    assert (await brought(db, head, (CHILD, FATHER), now)).guardians == 0
    assert await list_guardianships(db, head, clinic.id, now) == []


async def test_who_guards_already_and_a_teen_are_told_of_a_proposal(
    db: AsyncSession, head: Actor, clinic: Organisations, now: datetime
) -> None:
    """As when somebody asks by a code; a guardian known here by number need not be in the list."""
    teen = "u2,София,Ким,2011-08-02,patient,g1"
    await brought(db, head, (CHILD, teen, FATHER), now)
    for tie in await list_guardianships(db, head, clinic.id, now):
        if tie.child.name.startswith("Айдар"):
            await confirm_here(db, head, clinic.id, tie.id, now)
    mother = "g2,Әлфия,Вәлиева,1986-01-01,parent,"
    report = await brought(db, head, (CHILD.replace("g1", '"g1,g2"'), mother), now)
    assert report.guardians == 1
    told = select(Notices.person_id).where(Notices.code == "guardian_asked")
    assert set((await db.scalars(told)).all()) == {
        await whose(db, "София"),
        await whose(db, "Дамир"),
    }


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        (("u1,Айдар,Вәлиев,2013-05-17,patient,g7", FATHER), ("guardians", "guardian_unknown")),
        (("u1,Айдар,Вәлиев,2013-05-17,patient,u1", FATHER), ("guardians", "guardian_unknown")),
        (("u1,Айдар,Вәлиев,,patient,g1", FATHER), ("born_on", "birth_for_guardian")),
        (("u1,Айдар,Вәлиев,1999-05-17,patient,g1", FATHER), ("guardians", "guardian_of_no_child")),
        ((CHILD, "g1,Олег,Ким,2012-01-01,parent,"), ("guardians", "guardian_too_young")),
        ((CHILD, "g1,Олег,Ким,,patient,g2"), ("guardians", "guardian_too_young")),
    ],
)
async def test_a_tie_in_doubt_makes_the_childs_row_a_bad_one(
    db: AsyncSession,
    head: Actor,
    now: datetime,
    rows: tuple[str, ...],
    fault: tuple[str, str],
) -> None:
    """All or nothing stores nothing; skipping leaves the child out, and proposes nobody."""
    with pytest.raises(ImportHasBadRows):
        await brought(db, head, rows, now)
    report = await brought(db, head, rows, now, "skip")
    assert [(one.line, one.field, one.code) for one in report.bad][:1] == [(2, *fault)]
    assert report.guardians == 0
    assert await db.scalar(select(Guardianships.id)) is None
    assert await db.scalar(select(Persons.id).where(Persons.given_name == "Айдар")) is None
