"""Guardians: nobody sees a child before he is confirmed, or after it ended; who may say what."""

from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import codes
from people.ages import turns
from people.audit import AuditActs
from people.facts import RightsChanged, take
from people.guardian_limits import (
    BadTime,
    NewLimit,
    NewShare,
    NotYours,
    end_share,
    lift_limit,
    set_limit,
    share_health,
)
from people.guardian_rights import Scope
from people.guardian_steps import (
    ChildShown,
    NewGuardian,
    agree,
    appoint,
    ask,
    ask_by_code,
    confirm,
    confirm_here,
    end,
    end_here,
)
from people.guardians import GuardianshipOver, GuardianState, GuardianTooYoung, NotAChild
from people.households import family, get_child, guardians_of, list_guardianships
from people.notices import Notices
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Act, Actor, Kind, Right, Thing, may
from people.refused import Forbidden, NotFound, Refused
from people.relations import actor_of, grant
from storage.engine import new_id

SMALL, TEEN, TEEN_15 = date(2018, 5, 20), date(2012, 1, 20), date(2010, 5, 20)
DAY = timedelta(days=1)
ZONE = "Europe/Moscow"
Make = Callable[..., Awaitable[UUID]]


class Home:
    """A mother, a father, a child of a school and a clinic; who heads these and another school."""

    def __init__(self, db: AsyncSession, now: datetime) -> None:
        self.db, self.now = db, now
        self.ids: dict[str, UUID] = {}

    async def fill(self, born_on: date) -> None:
        for place, kind in (("school", "school"), ("far", "school"), ("clinic", "clinic")):
            self.ids[place] = new_id()
            self.db.add(Organisations(id=self.ids[place], kind=kind, name=place))
        for name, hat, where in (
            ("mother", None, ""),
            ("father", None, ""),
            ("child", Kind.CLASS, "school"),
            ("head", Kind.ADMINISTRATION, "school"),
            ("chief", Kind.ADMINISTRATION, "clinic"),
            ("stranger", Kind.ADMINISTRATION, "far"),
        ):
            self.ids[name] = new_id()
            row = Persons(id=self.ids[name], family_name=name.title(), given_name="Тест")
            row.created_at, row.language = self.now, "ru"
            row.born_on = born_on if name == "child" else None
            self.db.add(row)
            await self.db.flush()
            if hat is not None:
                about = new_id() if hat is Kind.CLASS else None
                await self.wears(name, hat, where, about_id=about)
        await self.wears("child", Kind.ATTACHMENT, "clinic")

    async def wears(self, name: str, kind: Kind, where: str, **more: UUID | None) -> None:
        right = Right(
            actor_id=self.ids[name],
            kind=kind,
            organisation_id=self.ids[where],
            since=self.now - DAY,
            **more,  # type: ignore[arg-type]
        )
        await grant(self.db, right, "test")

    async def actor(self, name: str, at: datetime | None = None) -> Actor:
        return await actor_of(self.db, self.ids[name], at or self.now)

    async def ask(self, name: str = "mother") -> UUID:
        return await ask(self.db, await self.actor(name), self.ids["child"], self.now)

    async def guardian(self, name: str = "mother") -> UUID:
        """Somebody whom school and clinic confirmed."""
        tie = await self.ask(name)
        for head, place in (("head", "school"), ("chief", "clinic")):
            actor = await self.actor(head)
            await confirm_here(self.db, actor, self.ids[place], tie, self.now)
        return tie

    async def sees(self, name: str, at: datetime | None = None) -> tuple[bool, bool]:
        """Health, school."""
        now = at or self.now
        actor, thing = await self.actor(name, now), Thing(subject_id=self.ids["child"])
        health = may(actor, Act.SEE_CHILD_HEALTH, thing, now)
        return health, may(actor, Act.SEE_CHILD_SCHOOL, thing, now)

    async def limit(self, tie: UUID, scope: Scope, until: datetime | None = None) -> UUID:
        new = NewLimit(scope=scope, until=until, paper="2-145/2026")
        head, school = await self.actor("head"), self.ids["school"]
        return await set_limit(self.db, head, school, tie, new=new, now=self.now)

    async def told(self, name: str, code: str) -> list[bool]:
        """Which notices of this code somebody got: whether they are critical."""
        query = select(Notices.critical).where(
            Notices.person_id == self.ids[name], Notices.code == code
        )
        return list((await self.db.scalars(query)).all())

    async def done(self) -> list[str]:
        rows = await self.db.scalars(select(AuditActs.act).order_by(AuditActs.id))
        return list(rows.all())


@pytest.fixture
async def home(db: AsyncSession, now: datetime) -> Home:
    """With a child of seven."""
    home = Home(db, now)
    await home.fill(SMALL)
    return home


async def test_nothing_is_seen_before_somebody_confirms(home: Home) -> None:
    """Who asks sees a given name and that he waits; the child's page is not there."""
    await home.ask()
    mother = await home.actor("mother")
    assert await home.sees("mother") == (False, False)
    assert await guardians_of(home.db, home.ids["child"], home.now) == []
    with pytest.raises(NotFound):
        await get_child(home.db, mother, home.ids["child"], home.now)
    (child,) = (await family(home.db, mother, home.now)).children
    assert (child.name, child.state, child.health, child.school) == (
        "Тест",
        GuardianState.ASKED,
        False,
        False,
    )


async def test_each_office_opens_its_side_and_no_other(home: Home) -> None:
    """And a guardian opens what was opened to him; the others are told each time."""
    head, chief = await home.actor("head"), await home.actor("chief")
    tie = await home.ask("mother")
    await confirm_here(home.db, head, home.ids["school"], tie, home.now)
    assert await home.sees("mother") == (False, True)
    his = await home.ask("father")
    await confirm(home.db, await home.actor("mother"), his, home.now)
    assert await home.sees("father") == (False, True)
    assert await home.told("mother", "guardian_joined") == []
    new = NewGuardian(home.ids["father"], home.ids["child"])
    assert await appoint(home.db, chief, home.ids["clinic"], new, home.now) == his
    assert await home.sees("father") == (True, True)
    assert await home.told("mother", "guardian_joined") == [True]
    await confirm(home.db, await home.actor("father"), tie, home.now)
    assert await home.sees("mother") == (True, True)
    places = select(AuditActs.organisation_id).where(AuditActs.act == "guardian_confirmed")
    done = list((await home.db.scalars(places.order_by(AuditActs.id))).all())
    assert done == [home.ids["school"], None, home.ids["clinic"], None]


async def test_confirmed_by_both_a_guardian_sees_both_sides(home: Home) -> None:
    """At once, and both hear of it."""
    await home.guardian()
    assert await home.sees("mother") == (True, True)
    assert await guardians_of(home.db, home.ids["child"], home.now) == [home.ids["mother"]]
    changed = {f.person_id for f in take(home.db) if isinstance(f, RightsChanged)}
    assert changed == {home.ids["mother"], home.ids["child"]}
    child = await get_child(home.db, await home.actor("mother"), home.ids["child"], home.now)
    assert (child.name, child.age, child.step) == ("Тест Child", 7, None)
    assert await home.done() == ["guardian_asked", "guardian_confirmed", "guardian_confirmed"]


async def test_asking_and_confirming_twice_is_once(home: Home) -> None:
    """A repeat after a lost answer changes nothing."""
    assert await home.guardian() == await home.guardian()
    assert await home.done() == ["guardian_asked", "guardian_confirmed", "guardian_confirmed"]


async def test_another_guardian_confirms_but_nobody_his_own(home: Home) -> None:
    """Nor does who only asked himself."""
    mine, his = await home.guardian("mother"), await home.ask("father")
    for name, tie, refused in (
        ("father", his, Forbidden),
        ("father", mine, NotFound),
        ("stranger", his, NotFound),
        ("child", his, Forbidden),
    ):
        with pytest.raises(refused):
            await confirm(home.db, await home.actor(name), tie, home.now)
    mother = await home.actor("mother")
    assert (await family(home.db, mother, home.now)).waiting == 1
    await confirm(home.db, mother, his, home.now)
    assert await home.sees("father") == (True, True)
    assert (await family(home.db, mother, home.now)).waiting == 0


async def test_an_administrator_has_no_say_in_his_own_or_a_far_child(home: Home) -> None:
    """The hat of an office opens no child to who wears it."""
    await home.wears("mother", Kind.ADMINISTRATION, "school")
    tie, school = await home.ask(), home.ids["school"]
    mother, stranger = await home.actor("mother"), await home.actor("stranger")
    with pytest.raises(Forbidden):
        await confirm_here(home.db, mother, school, tie, home.now)
    with pytest.raises(NotFound):
        await confirm_here(home.db, stranger, school, tie, home.now)
    with pytest.raises(NotFound):
        await confirm_here(home.db, stranger, home.ids["far"], tie, home.now)
    assert await list_guardianships(home.db, stranger, home.ids["far"], home.now) == []
    new = NewGuardian(home.ids["mother"], home.ids["child"])
    with pytest.raises(Forbidden):
        await appoint(home.db, mother, school, new, home.now)
    assert await home.sees("mother") == (False, False)


async def test_an_administrator_appoints_within_his_organisation(home: Home) -> None:
    """A person of nowhere may be; somebody of another place, or a far child, is not found."""
    head, school, child = await home.actor("head"), home.ids["school"], home.ids["child"]
    await appoint(home.db, head, school, NewGuardian(home.ids["father"], child), home.now)
    assert await home.sees("father") == (False, True)
    stranger, far = await home.actor("stranger"), home.ids["far"]
    for actor, place, guardian in (
        (head, school, home.ids["stranger"]),
        (head, school, child),
        (stranger, far, home.ids["mother"]),
    ):
        with pytest.raises(NotFound):
            await appoint(home.db, actor, place, NewGuardian(guardian, child), home.now)


async def test_a_guardianship_ends_at_once(home: Home) -> None:
    """By the guardian or the office; the child cannot, nor can another guardian."""
    mine, his = await home.guardian("mother"), await home.guardian("father")
    for name in ("child", "mother"):
        with pytest.raises(Forbidden):
            await end(home.db, await home.actor(name), his, home.now)
    before, home.now = home.now, home.now + timedelta(hours=1)
    await end_here(home.db, await home.actor("head"), home.ids["school"], his, home.now)
    assert await home.sees("father") == (False, False)
    # What he could see until then stays known.
    assert await home.sees("father", before) == (True, True)
    await end(home.db, await home.actor("mother"), mine, home.now)
    assert await home.sees("mother") == (False, False)
    assert await guardians_of(home.db, home.ids["child"], home.now) == []
    with pytest.raises(GuardianshipOver):
        await confirm_here(home.db, await home.actor("head"), home.ids["school"], his, home.now)
    # Asked anew it is another one, and begins at the beginning.
    assert await home.ask("father") != his
    assert await home.sees("father") == (False, False)


async def test_a_court_closes_health_and_leaves_school(home: Home) -> None:
    """Lifted only where it was set; a guardian under a limit has no say about another."""
    tie, his = await home.guardian(), await home.ask("father")
    later = home.now + 30 * DAY
    limit = await home.limit(tie, Scope.HEALTH, later)
    assert await home.sees("mother") == (False, True)
    assert await home.sees("mother", later) == (True, True)
    health = await guardians_of(home.db, home.ids["child"], home.now, Kind.CHILD_HEALTH)
    assert health == []
    with pytest.raises(NotFound):
        await confirm(home.db, await home.actor("mother"), his, home.now)
    await home.wears("child", Kind.CLASS, "far", about_id=new_id())
    with pytest.raises(NotFound):
        await lift_limit(home.db, await home.actor("stranger"), home.ids["far"], limit, home.now)
    head = await home.actor("head")
    (shown,) = [
        one
        for one in await list_guardianships(home.db, head, home.ids["school"], home.now)
        if one.id == tie
    ]
    assert [(one.scope, one.paper, one.ours) for one in shown.limits] == [
        (Scope.HEALTH, "2-145/2026", True)
    ]
    await lift_limit(home.db, head, home.ids["school"], limit, home.now)
    assert await home.sees("mother") == (True, True)


async def test_no_asking_anew_sheds_what_a_court_closed(home: Home) -> None:
    """The limit is of the two people: it shows in the new tie, holds there, and is lifted there."""
    tie = await home.guardian("father")
    limit = await home.limit(tie, Scope.HEALTH)
    await end(home.db, await home.actor("father"), tie, home.now + DAY)
    home.now += 2 * DAY
    again = await home.guardian("father")
    assert again != tie
    assert await home.sees("father") == (False, True)
    head, school = await home.actor("head"), home.ids["school"]
    (shown,) = await list_guardianships(home.db, head, school, home.now)
    assert [one.id for one in shown.limits] == [limit]
    await end(home.db, await home.actor("father"), again, home.now)
    home.now += DAY
    new = NewGuardian(home.ids["father"], home.ids["child"])
    await appoint(home.db, await home.actor("chief"), home.ids["clinic"], new, home.now)
    await appoint(home.db, await home.actor("head"), school, new, home.now)
    assert await home.sees("father") == (False, True)
    await lift_limit(home.db, await home.actor("head"), school, limit, home.now)
    assert await home.sees("father") == (True, True)


async def test_a_limit_must_end_after_now(home: Home) -> None:
    """And nothing is kept of one that does not."""
    tie = await home.guardian()
    with pytest.raises(BadTime):
        await home.limit(tie, Scope.SCHOOL, home.now)
    assert await home.sees("mother") == (True, True)


async def test_birthdays_act_without_anybody(home: Home) -> None:
    """Rights written at seven end at fifteen and eighteen."""
    await home.guardian()
    decides, grown = (turns(SMALL, years, ZONE) for years in (15, 18))
    tick = timedelta(microseconds=1)
    assert await home.sees("mother", decides - tick) == (True, True)
    assert await home.sees("mother", decides) == (False, True)
    assert await home.sees("mother", grown - tick) == (False, True)
    assert await home.sees("mother", grown) == (False, False)
    assert await guardians_of(home.db, home.ids["child"], grown) == []
    mother = await home.actor("mother", grown)
    assert (await family(home.db, mother, grown)).children == []


@pytest.mark.parametrize(
    ("days", "step"), [(31, None), (30, 15), (1, 15), (0, None)], ids=["31", "30", "1", "0"]
)
async def test_a_banner_tells_a_month_beforehand(home: Home, days: int, step: int | None) -> None:
    """The guardian and the child alike, until the day itself."""
    await home.guardian()
    at = turns(SMALL, 15, ZONE) - days * DAY
    child = await get_child(home.db, await home.actor("mother", at), home.ids["child"], at)
    own = (await family(home.db, await home.actor("child", at), at)).step
    assert [one and one.age for one in (child.step, own)] == [step, step]


@pytest.fixture
async def teen(db: AsyncSession, now: datetime) -> Home:
    """With a child of fifteen."""
    home = Home(db, now)
    await home.fill(TEEN_15)
    return home


async def test_a_teen_of_fifteen_lets_a_guardian_in(teen: Home) -> None:
    """Confirmed by the school it still waits for the teen, who may refuse as well."""
    later = teen.now + 100 * DAY  # fifteen since the twentieth of May 2025
    teen.now = later
    tie = await teen.guardian()
    assert await teen.sees("mother") == (False, False)
    child = await teen.actor("child")
    assert (await family(teen.db, child, later)).waiting == 1
    with pytest.raises(Forbidden):
        await agree(teen.db, await teen.actor("mother"), tie, later)
    await agree(teen.db, child, tie, later)
    assert await teen.sees("mother") == (False, True)
    his = await teen.guardian("father")
    await end(teen.db, child, his, later)
    with pytest.raises(GuardianshipOver):
        await agree(teen.db, child, his, later)
    assert await teen.sees("father") == (False, False)


async def test_a_teen_shares_health_for_a_while_and_takes_it_back(teen: Home) -> None:
    """Nobody else does it for the teen."""
    tie, child = await teen.guardian(), await teen.actor("child")
    await agree(teen.db, child, tie, teen.now)
    until = teen.now + 2 * DAY
    with pytest.raises(Forbidden):
        await share_health(teen.db, await teen.actor("mother"), tie, NewShare(until), teen.now)
    await share_health(teen.db, child, tie, NewShare(until), teen.now)
    assert await teen.sees("mother") == (True, True)
    assert await teen.sees("mother", until) == (False, True)
    (shown,) = (await family(teen.db, child, teen.now)).guardians
    assert shown.shared_until == until
    soon = teen.now + timedelta(hours=1)
    await end_share(teen.db, child, tie, soon)
    assert await teen.sees("mother", soon) == (False, True)
    for wrong in (teen.now, teen.now + 400 * DAY):
        with pytest.raises(BadTime):
            await share_health(teen.db, child, tie, NewShare(wrong), teen.now)


async def test_a_younger_child_shares_nothing_by_itself(db: AsyncSession, now: datetime) -> None:
    """At fourteen the guardian sees health anyway, and the child is told who asked."""
    home = Home(db, now)
    await home.fill(TEEN)
    tie = await home.guardian()
    assert await home.sees("mother") == (True, True)
    with pytest.raises(NotYours):
        await share_health(db, await home.actor("child"), tie, NewShare(now + DAY), now)


@pytest.mark.parametrize("born_on", [None, date(2008, 3, 2)])
async def test_who_is_grown_up_has_no_guardian(
    db: AsyncSession, now: datetime, born_on: date | None
) -> None:
    """From the eighteenth birthday on; without a date of birth one counts as grown up."""
    home = Home(db, now)
    await home.fill(born_on)  # type: ignore[arg-type]
    with pytest.raises(NotAChild):
        await home.ask()


async def test_a_child_is_nobodys_guardian_by_asking(home: Home) -> None:
    """Nor is anybody his own."""
    mother = await home.db.get_one(Persons, home.ids["mother"])
    mother.born_on = date(2010, 1, 1)
    await home.db.flush()
    with pytest.raises(GuardianTooYoung):
        await home.ask()
    with pytest.raises(NotAChild):
        await home.ask("child")


async def test_the_code_of_a_child_is_taken_once(home: Home) -> None:
    """A code made for something else, or unknown, asks for nothing."""
    code = await codes.make(home.db, home.ids["child"], "guardian", home.now)
    other = await codes.make(home.db, home.ids["child"], "assist", home.now)
    mother, father = await home.actor("mother"), await home.actor("father")
    assert await ask_by_code(home.db, mother, ChildShown(code), "10.0.0.1", home.now)
    for wrong in (code, other, "x" * 22):
        with pytest.raises(Refused) as refused:
            await ask_by_code(home.db, father, ChildShown(wrong), "10.0.0.1", home.now)
        assert refused.value.code == "code_refused"
    assert (await family(home.db, father, home.now)).children == []
