"""Notices: written with what they tell of, carried outside once, never into the night."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from people.facts import NoticeMade, NoticesRead, take
from people.notice_targets import NoticeSettings, NoticeTargets, NoticeWay
from people.notices import (
    DELIVER,
    PAGE,
    Unread,
    list_notices,
    notify,
    read_all,
    read_notice,
    unread,
)
from people.organisations import Organisations
from people.persons import Persons
from people.policy import ANONYMOUS, Actor
from people.refused import NotFound, NotSignedIn
from people.relations import actor_of
from storage.engine import new_id

MIDNIGHT = datetime(2026, 3, 2, 21, tzinfo=UTC)  # in Moscow


@pytest.fixture
async def me(db: AsyncSession, patient: Persons, now: datetime) -> Actor:
    """The patient, who acts."""
    return await actor_of(db, patient.id, now)


async def _target(db: AsyncSession, person: Persons, now: datetime, **changes: Any) -> None:
    values = {
        "way": NoticeWay.MAIL.value,
        "address": "r@example.org",
        "confirmed_at": now,
        **changes,
    }
    row = NoticeTargets(id=new_id(), person_id=person.id, made_at=now, asked_at=now, **values)
    db.add(row)
    await db.flush()


async def _jobs(db: AsyncSession) -> list[tuple[datetime | None, bool, list[str]]]:
    """Deliveries enqueued: when, whether critical, for which organisations."""
    found = await db.execute(
        text(
            "SELECT scheduled_at, args -> 'critical', args -> '_owners' FROM procrastinate_jobs"
            " WHERE task_name = :name ORDER BY id"
        ),
        {"name": DELIVER},
    )
    return [(at, critical, owners) for at, critical, owners in found]


async def test_a_notice_is_on_the_list_newest_first_and_announced(
    db: AsyncSession, me: Actor, patient: Persons, now: datetime
) -> None:
    visit = new_id()
    first = await notify(db, patient.id, "first", {}, now)
    second = await notify(
        db, patient.id, "second", {"count": 2, "at": "x"}, now + timedelta(seconds=1), about=visit
    )
    found = await list_notices(db, me, now)
    assert [(one.id, one.code) for one in found.notices] == [(second, "second"), (first, "first")]
    newest = found.notices[0]
    assert (newest.params, newest.about_id, newest.read_at) == (
        {"count": 2, "at": "x"},
        visit,
        None,
    )
    assert not found.more
    facts = [fact for fact in take(db) if isinstance(fact, NoticeMade)]
    assert [(fact.person_id, fact.notice_id) for fact in facts] == [
        (patient.id, first),
        (patient.id, second),
    ]


async def test_older_notices_come_page_by_page_without_a_gap(
    db: AsyncSession, me: Actor, patient: Persons, now: datetime
) -> None:
    made = [await notify(db, patient.id, "one", {}, now) for _ in range(PAGE + 3)]
    first = await list_notices(db, me, now)
    rest = await list_notices(db, me, now, before=first.notices[-1].id)
    assert (first.more, rest.more) == (True, False)
    assert [one.id for one in (*first.notices, *rest.notices)] == sorted(made, reverse=True)


async def test_nobody_sees_counts_or_reads_the_notices_of_another(
    db: AsyncSession, patient: Persons, doctor: Persons, now: datetime
) -> None:
    notice = await notify(db, patient.id, "one", {}, now)
    stranger = await actor_of(db, doctor.id, now)
    assert (await list_notices(db, stranger, now)).notices == []
    assert (await unread(db, stranger, now)).count == 0
    with pytest.raises(NotFound):
        await read_notice(db, stranger, notice, now)
    with pytest.raises(NotFound):
        await list_notices(db, stranger, now, before=notice)
    await read_all(db, stranger, now, now)
    with pytest.raises(NotSignedIn):
        await list_notices(db, ANONYMOUS, now)
    assert (await unread(db, await actor_of(db, patient.id, now), now)).count == 1


async def test_reading_counts_once_and_reading_all_leaves_what_came_later(
    db: AsyncSession, me: Actor, patient: Persons, now: datetime
) -> None:
    later = now + timedelta(minutes=1)
    first = await notify(db, patient.id, "one", {}, now)
    await notify(db, patient.id, "two", {}, now)
    await notify(db, patient.id, "three", {}, later)
    assert await unread(db, me, now) == Unread(3, later)
    take(db)
    for moment in (now, later):
        await read_notice(db, me, first, moment)
    assert [type(fact) for fact in take(db)] == [NoticesRead]
    await read_all(db, me, now, later)
    assert (await unread(db, me, now)).count == 1
    shown = {one.code: one.read_at for one in (await list_notices(db, me, later)).notices}
    assert shown == {"one": now, "two": later, "three": None}


async def test_without_a_proved_and_active_address_nothing_goes_outside(
    db: AsyncSession, patient: Persons, doctor: Persons, now: datetime
) -> None:
    await _target(db, patient, now, confirmed_at=None)
    await _target(db, doctor, now, active=False)
    for person in (patient, doctor):
        await notify(db, person.id, "one", {}, now)
    assert await _jobs(db) == []


async def test_what_comes_by_day_goes_at_once_and_once_for_all_that_waits(
    db: AsyncSession, patient: Persons, clinic: Organisations, now: datetime
) -> None:
    await _target(db, patient, now)
    for _ in range(3):
        await notify(db, patient.id, "one", {}, now)
    assert await _jobs(db) == [(None, False, [str(clinic.id)])]


async def test_the_night_holds_all_but_the_critical(db: AsyncSession, patient: Persons) -> None:
    await _target(db, patient, MIDNIGHT)
    await notify(db, patient.id, "one", {}, MIDNIGHT)
    await notify(db, patient.id, "two", {}, MIDNIGHT, critical=True)
    morning = datetime(2026, 3, 3, 4, tzinfo=UTC)  # 7:00 in Moscow
    assert [(at, critical) for at, critical, _ in await _jobs(db)] == [
        (morning, False),
        (None, True),
    ]


async def test_quiet_hours_are_the_persons_own(db: AsyncSession, patient: Persons) -> None:
    await _target(db, patient, MIDNIGHT)
    db.add(NoticeSettings(person_id=patient.id, quiet_from=0, quiet_until=0, timezone=None))
    await notify(db, patient.id, "one", {}, MIDNIGHT)
    assert [at for at, _, _ in await _jobs(db)] == [None]


async def test_a_way_that_was_just_used_rests_and_then_tells_of_all(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    await _target(db, patient, now, told_at=now - timedelta(minutes=4))
    await notify(db, patient.id, "one", {}, now)
    await notify(db, patient.id, "two", {}, now, critical=True)
    assert [(at, critical) for at, critical, _ in await _jobs(db)] == [
        (now + timedelta(minutes=6), False),
        (None, True),
    ]
