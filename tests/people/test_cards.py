"""QR cards: who has one, who gets in, what ends it, and what is never told."""

import secrets
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

import pyotp
import pytest
from sqlalchemy import event, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from api.runner import JOBS
from people import facts, recoveries, second_factors
from people.asking import AskForHelp, ask_for_help
from people.audit import AuditActs
from people.cards import (
    MAX_TRIES,
    BirthDateNeeded,
    CardBrowsers,
    CardLocked,
    Cards,
    NewCards,
    StaffHaveNoCards,
    WrongBirthDate,
    card_fits,
    issue_card,
    issue_sheet,
    list_holders,
    new_secret,
    revoke_card,
    revoke_cards_of,
)
from people.device_tokens import token_hash
from people.entering import CardRefused, Entered, Shown, StaffNeedPassword, enter
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor, Kind, Right
from people.proofs import SecondStepOver, SecondStepTaken, TotpProof, take_second
from people.recoveries import Recoveries, list_recoveries
from people.refused import Forbidden, NotFound, OutOfRange, TooManyAttempts
from people.relations import actor_of, grant
from people.second_factors import SecondStep, SignedInAs
from people.sessions import Sessions, session_person, start_session
from people.throttle import NETWORK_FREE
from storage.engine import new_id

HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"
BORN = date(1988, 5, 17)
KEY = b"k" * 32


async def person_with(
    db: AsyncSession, kind: Kind, clinic: UUID, now: datetime, name: str = "Тест"
) -> Persons:
    """One more person with a right in an organisation."""
    row = Persons(id=new_id(), family_name=name, given_name="Аня", language="ru", created_at=now)
    db.add(row)
    await db.flush()
    right = Right(actor_id=row.id, kind=kind, organisation_id=clinic, since=now)
    await grant(db, right, "test")
    return row


@pytest.fixture
async def admin(db: AsyncSession, clinic: Organisations, now: datetime) -> Actor:
    """An administrator of the clinic."""
    row = await person_with(db, Kind.ADMINISTRATION, clinic.id, now, "Гөлнара")
    return await actor_of(db, row.id, now)


@pytest.fixture
async def secret(
    db: AsyncSession, admin: Actor, patient: Persons, clinic: Organisations, now: datetime
) -> str:
    """The secret of the patient's card; the date of birth is known."""
    patient.born_on = BORN
    return (await issue_card(db, admin, patient.id, clinic.id, now))[1]


@dataclass
class Desk:
    """The clinic's desk, and a patient who got a card there."""

    admin: Actor
    clinic: Organisations
    patient: Persons
    secret: str


@pytest.fixture
def desk(admin: Actor, clinic: Organisations, patient: Persons, secret: str) -> Desk:
    """All of it together."""
    return Desk(admin, clinic, patient, secret)


async def ended_at(db: AsyncSession, session_id: UUID) -> datetime | None:
    """When a session ended, as the store says."""
    return await db.scalar(select(Sessions.ended_at).where(Sessions.id == session_id))


async def show(
    db: AsyncSession,
    secret: str,
    now: datetime,
    *,
    born: date | None = None,
    browser: str | None = None,
    network: str = HOME,
) -> Entered:
    return await enter(db, Shown(secret, born), browser, network, now)


def session_of(entered: Entered) -> SignedInAs:
    """The session of somebody who has no second factor."""
    assert isinstance(entered.found, SignedInAs)
    return entered.found


async def test_a_card_and_the_date_of_birth_open_a_session(
    db: AsyncSession, patient: Persons, secret: str, now: datetime
) -> None:
    """The session knows by which card, and it is written down."""
    found = session_of(await show(db, secret, now, born=BORN))
    assert (await session_person(db, found.session.token, now)).person_id == patient.id
    row = await db.get_one(Sessions, found.session.id)
    card_id = await db.scalar(select(Cards.id))
    assert (row.method, row.opened_by) == ("card", card_id)


async def test_the_store_holds_no_secret(db: AsyncSession, secret: str, now: datetime) -> None:
    """Only its SHA-256; 160 bits need no slow hash."""
    await show(db, secret, now, born=BORN)
    card = (await db.scalars(select(Cards))).one()
    assert len(card.secret_sha256) == 32
    assert len(secret) == 27
    assert secret not in card.number


async def test_a_new_browser_is_asked_for_the_date_of_birth(
    db: AsyncSession, secret: str, now: datetime
) -> None:
    """Asking is no failure, however often."""
    for _ in range(MAX_TRIES + 1):
        with pytest.raises(BirthDateNeeded) as needed:
            await show(db, secret, now)
    assert needed.value.params == {"tries_left": MAX_TRIES}


async def test_a_browser_that_came_in_before_needs_the_card_alone(
    db: AsyncSession, secret: str, now: datetime
) -> None:
    """By a token of our own making; another browser is asked."""
    first = await show(db, secret, now, born=BORN)
    assert first.browser is not None
    again = await show(db, secret, now, browser=first.browser, network=ELSEWHERE)
    assert again.browser == first.browser
    with pytest.raises(BirthDateNeeded):
        await show(db, secret, now, browser="of another browser")


async def test_a_browser_token_that_we_did_not_make_is_replaced(
    db: AsyncSession, secret: str, now: datetime
) -> None:
    """Who could choose it could guess it."""
    found = await show(db, secret, now, born=BORN, browser="guessable")
    assert found.browser not in {None, "guessable"}
    assert await db.scalar(select(func.count()).select_from(CardBrowsers)) == 1


async def test_without_a_known_date_of_birth_the_card_is_enough(
    db: AsyncSession, admin: Actor, patient: Persons, clinic: Organisations, now: datetime
) -> None:
    """There is nothing to ask."""
    _, secret = await issue_card(db, admin, patient.id, clinic.id, now)
    assert session_of(await show(db, secret, now)).me.id == patient.id


async def test_wrong_dates_lock_the_card_for_good(
    db: AsyncSession, patient: Persons, secret: str, now: datetime
) -> None:
    """The right date does not open a locked card, nor does a browser that knew it."""
    known = (await show(db, secret, now, born=BORN)).browser
    moment = now
    for left in range(MAX_TRIES - 1, 0, -1):
        with pytest.raises(WrongBirthDate) as wrong:
            await show(db, secret, moment, born=date(1990, 1, 1), network=ELSEWHERE)
        assert wrong.value.params == {"tries_left": left}
        assert wrong.value.keeps_writes
        moment += timedelta(minutes=1)
    with pytest.raises(CardLocked) as locked:
        await show(db, secret, moment, born=date(1990, 1, 1), network=ELSEWHERE)
    assert locked.value.keeps_writes
    for browser in (None, known):
        with pytest.raises(CardLocked):
            await show(db, secret, moment, born=BORN, browser=browser)
    assert not await card_fits(db, patient.id, secret)
    assert "card_locked" in (await db.scalars(select(AuditActs.act))).all()


async def test_the_right_date_forgets_the_wrong_ones(
    db: AsyncSession, secret: str, now: datetime
) -> None:
    """A typo is not held against anybody for ever; what is wrong is written down."""
    with pytest.raises(WrongBirthDate):
        await show(db, secret, now, born=date(1990, 1, 1))
    known = (await show(db, secret, now, born=BORN)).browser
    assert await db.scalar(select(Cards.tries)) == 0
    with pytest.raises(WrongBirthDate):
        await show(db, secret, now, born=date(1990, 1, 1))
    with pytest.raises(CardRefused):
        await show(db, "no card", now)
    # Its owner coming in as ever buys whoever found a copy no further guess.
    await show(db, secret, now, browser=known)
    assert await db.scalar(select(Cards.tries)) == 1
    failed = select(AuditActs.subject_id).where(AuditActs.act == "proof_failed")
    person = await db.scalar(select(Cards.person_id))
    assert (await db.scalars(failed)).all() == [person, person, None]


async def test_a_new_card_ends_the_one_before_and_what_it_opened(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """One live card a person and organisation; sockets of the old one hear of it."""
    opened = session_of(await show(db, desk.secret, now, born=BORN)).session
    facts.take(db)
    _, second = await issue_card(db, desk.admin, desk.patient.id, desk.clinic.id, now)
    ended = [fact for fact in facts.take(db) if isinstance(fact, facts.SessionEnded)]
    assert [fact.session_id for fact in ended] == [opened.id]
    with pytest.raises(CardRefused):
        await show(db, desk.secret, now, born=BORN)
    session_of(await show(db, second, now, born=BORN))


async def test_a_revoked_card_ends_its_sessions_and_no_others(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """Revoking twice finds nothing."""
    school = Organisations(id=new_id(), kind="school", name="Школа")
    db.add(school)
    await db.flush()
    pupil = Right(actor_id=desk.patient.id, kind=Kind.CLASS, organisation_id=school.id, since=now)
    await grant(db, pupil, "test")
    head = await person_with(db, Kind.ADMINISTRATION, school.id, now)
    _, other = await issue_card(
        db, await actor_of(db, head.id, now), desk.patient.id, school.id, now
    )
    mine = session_of(await show(db, desk.secret, now, born=BORN)).session
    theirs = session_of(await show(db, other, now, born=BORN)).session
    card_id = (await db.get_one(Sessions, mine.id)).opened_by
    assert card_id is not None
    await revoke_card(db, desk.admin, desk.clinic.id, card_id, now)
    assert await ended_at(db, mine.id) == now
    assert await ended_at(db, theirs.id) is None
    with pytest.raises(NotFound):
        await revoke_card(db, desk.admin, desk.clinic.id, card_id, now)
    await revoke_cards_of(db, desk.patient.id, now)
    assert await ended_at(db, theirs.id) == now


async def test_nobody_but_the_organisations_administrator_makes_or_ends_a_card(
    db: AsyncSession, desk: Desk, doctor: Persons, now: datetime
) -> None:
    """A doctor is refused; to an administrator of elsewhere the organisation is not there."""
    elsewhere = Organisations(id=new_id(), kind="clinic", name="Другая")
    db.add(elsewhere)
    await db.flush()
    stranger = await person_with(db, Kind.ADMINISTRATION, elsewhere.id, now)
    card_id = (await db.scalars(select(Cards.id))).one()
    for who, refusal in ((doctor, Forbidden), (desk.patient, Forbidden), (stranger, NotFound)):
        actor = await actor_of(db, who.id, now)
        with pytest.raises(refusal):
            await issue_card(db, actor, desk.patient.id, desk.clinic.id, now)
        with pytest.raises(refusal):
            await revoke_card(db, actor, desk.clinic.id, card_id, now)
        with pytest.raises(refusal):
            await list_holders(db, actor, desk.clinic.id, now)
    theirs = await actor_of(db, stranger.id, now)
    with pytest.raises(NotFound):
        await issue_card(db, theirs, desk.patient.id, elsewhere.id, now)
    with pytest.raises(NotFound):
        await revoke_card(db, theirs, elsewhere.id, card_id, now)


async def test_staff_have_no_cards_and_an_old_one_is_worth_nothing(
    db: AsyncSession, desk: Desk, doctor: Persons, now: datetime
) -> None:
    """A card must not be a way around the second factor, also for who became staff later."""
    with pytest.raises(StaffHaveNoCards):
        await issue_card(db, desk.admin, doctor.id, desk.clinic.id, now)
    right = Right(
        actor_id=desk.patient.id, kind=Kind.DUTY, organisation_id=desk.clinic.id, since=now
    )
    await grant(db, right, "test")
    with pytest.raises(StaffNeedPassword):
        await show(db, desk.secret, now, born=BORN)


async def test_a_guardian_of_a_pupil_has_a_card_of_the_school(
    db: AsyncSession, admin: Actor, patient: Persons, clinic: Organisations, now: datetime
) -> None:
    """Though no right of the guardian names the organisation; strangers have none."""
    father = Persons(
        id=new_id(), family_name="Вәлиев", given_name="Дамир", language="tt", created_at=now
    )
    db.add(father)
    await db.flush()
    with pytest.raises(NotFound):
        await issue_card(db, admin, father.id, clinic.id, now)
    tie = Right(actor_id=father.id, kind=Kind.GUARDIANSHIP, subject_id=patient.id, since=now)
    await grant(db, tie, "test")
    card, _ = await issue_card(db, admin, father.id, clinic.id, now)
    assert len(card.number) == 12


async def test_a_sheet_is_made_whole_or_not_at_all(
    db: AsyncSession, desk: Desk, doctor: Persons, now: datetime
) -> None:
    """A name twice is one card; too many or none is refused by the field."""
    sheet = await issue_sheet(
        db, desk.admin, desk.clinic.id, NewCards([desk.patient.id, desk.patient.id]), now
    )
    assert [card.name for card in sheet.cards] == ["Ринат Хасан"]
    assert sheet.organisation_name == "Поликлиника"
    for ids in ([], [new_id() for _ in range(101)]):
        with pytest.raises(OutOfRange) as refused:
            await issue_sheet(db, desk.admin, desk.clinic.id, NewCards(ids), now)
        assert refused.value.errors[0].field == "person_ids"
    before = await db.scalar(select(func.count()).select_from(Cards))
    with pytest.raises(StaffHaveNoCards):
        async with db.begin_nested():
            await issue_sheet(
                db, desk.admin, desk.clinic.id, NewCards([desk.patient.id, doctor.id]), now
            )
    assert await db.scalar(select(func.count()).select_from(Cards)) == before


async def test_the_list_of_holders_is_paged_and_searched(
    db: AsyncSession, admin: Actor, secret: str, clinic: Organisations, now: datetime
) -> None:
    """By name, without staff, everybody once."""
    assert secret
    for number in range(60):
        await person_with(db, Kind.ATTACHMENT, clinic.id, now, f"Әхмәтов{number:02}")
    first = await list_holders(db, admin, clinic.id, now)
    assert len(first.holders) == 50
    assert first.next is not None
    second = await list_holders(db, admin, clinic.id, now, after=UUID(first.next))
    names = [holder.name for holder in (*first.holders, *second.holders)]
    assert len(set(names)) == len(names) == 61
    assert second.next is None
    found = await list_holders(db, admin, clinic.id, now, search="хасан рин")
    assert [(one.name, one.card is not None) for one in found.holders] == [("Ринат Хасан", True)]
    assert (await list_holders(db, admin, clinic.id, now, search="%")).holders == []
    other = Organisations(id=new_id(), kind="clinic", name="Чужая")
    db.add(other)
    await db.flush()
    far = await person_with(db, Kind.ATTACHMENT, other.id, now, "Аааа")
    with pytest.raises(NotFound):
        await list_holders(db, admin, clinic.id, now, after=far.id)


@pytest.mark.usefixtures("secret")
async def test_of_many_guesses_from_one_network_hardly_any_is_looked_at(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    """The free ones, then one a minute; none opens a session."""
    looked_at = 0
    for guess in range(200):
        try:
            await show(db, f"guess-{guess}", now + timedelta(milliseconds=50 * guess))
        except CardRefused:
            looked_at += 1
        except TooManyAttempts:
            pass
    assert NETWORK_FREE <= looked_at < NETWORK_FREE + 6
    opened = select(func.count()).select_from(Sessions).where(Sessions.person_id == patient.id)
    assert await db.scalar(opened) == 0


async def test_ten_thousand_guesses_hit_none_of_a_thousand_cards(
    db: AsyncSession, patient: Persons, clinic: Organisations, now: datetime
) -> None:
    """Though every one were looked at: 160 random bits. The secrets differ in every character."""
    row = {"person_id": patient.id, "organisation_id": clinic.id, "issued_at": now}
    made = [secret_and_row(row | {"revoked_at": now}, number) for number in range(1000)]
    await db.execute(insert(Cards), [each for _, each in made])
    guesses = [token_hash(secrets.token_urlsafe(20)) for _ in range(10_000)]
    hits = select(func.count()).where(Cards.secret_sha256.in_(guesses))
    assert await db.scalar(hits) == 0
    own = select(func.count()).where(Cards.secret_sha256.in_([token_hash(s) for s, _ in made]))
    assert await db.scalar(own) == 1000
    assert all(len({secret[at] for secret, _ in made}) > 40 for at in range(26))


def secret_and_row(row: dict[str, object], number: int) -> tuple[str, dict[str, object]]:
    """A card's secret as the verb makes it, and its row."""
    secret = new_secret()
    return secret, row | {"secret_sha256": token_hash(secret), "number": f"{number:012}"}


async def test_others_guesses_do_not_hold_back_a_browser_that_is_known(
    db: AsyncSession, secret: str, now: datetime
) -> None:
    """A pupil cannot keep the class out by guessing in the same network."""
    known = (await show(db, secret, now, born=BORN)).browser
    for guess in range(NETWORK_FREE + 1):
        with pytest.raises(CardRefused):
            await show(db, f"guess-{guess}", now, network=ELSEWHERE)
    with pytest.raises(TooManyAttempts):
        await show(db, "one more", now, network=ELSEWHERE)
    session_of(await show(db, secret, now, browser=known, network=ELSEWHERE))


async def test_asking_for_help_tells_the_administrator_and_nobody_else(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """By the card's number in any spelling; twice is one request; a new card closes it."""
    number = (await db.scalars(select(Cards.number))).one()
    spelled = f"№ {number[:4]} {number[4:8]}-{number[8:]}"
    for word in (spelled, number, "nobody.at.all", "0" * 12, "\u2003"):
        await ask_for_help(db, AskForHelp(word), HOME, now)
    asked = await list_recoveries(db, desk.admin, desk.clinic.id, now)
    assert [one.person.id for one in asked] == [desk.patient.id]
    actor = await actor_of(db, desk.patient.id, now)
    with pytest.raises(Forbidden):
        await list_recoveries(db, actor, desk.clinic.id, now)
    await issue_card(db, desk.admin, desk.patient.id, desk.clinic.id, now)
    assert await list_recoveries(db, desk.admin, desk.clinic.id, now) == []
    assert await db.scalar(select(func.count()).select_from(Recoveries)) == 1


async def test_a_request_nobody_answered_is_asked_anew_when_it_is_shown_no_more(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """And those who can help are told anew; before that asking twice is asking once."""
    number = await db.scalar(select(Cards.number))
    assert number is not None
    await ask_for_help(db, AskForHelp(number), HOME, now)
    row = (await db.scalars(select(Recoveries))).one()
    row.told_at = now
    await db.flush()
    for later, told in ((now + timedelta(days=1), now), (now + recoveries.SHOWN_FOR, None)):
        await ask_for_help(db, AskForHelp(number), HOME, later)
        await db.refresh(row)
        assert row.told_at == told
    asked = await list_recoveries(db, desk.admin, desk.clinic.id, later)
    assert [one.asked_at for one in asked] == [later]


async def test_a_second_step_begun_by_a_revoked_card_opens_nothing(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """A patient with a second factor: the card was only its first half."""
    made = await start_session(db, desk.patient.id, "192.0.2.0/24", now, staff=False)
    caller = await session_person(db, made.token, now)
    proposed = await second_factors.begin_totp(db, KEY, caller, now)
    phone = pyotp.TOTP(proposed.secret)
    await second_factors.confirm_totp(db, KEY, caller, phone.at(now), now)
    step = (await show(db, desk.secret, now, born=BORN)).found
    assert isinstance(step, SecondStep)
    await revoke_cards_of(db, desk.patient.id, now)
    later = now + timedelta(minutes=1)
    taken = SecondStepTaken(step.second_step, TotpProof(phone.at(later)))
    with pytest.raises(SecondStepOver):
        await take_second(db, KEY, taken, HOME, later)


async def test_asking_for_help_is_the_same_work_whoever_it_is(
    db: AsyncSession, desk: Desk, now: datetime
) -> None:
    """The same statements: how long they take says nothing on a busy machine."""
    number = await db.scalar(select(Cards.number))
    assert number is not None
    connection = (await db.connection()).sync_connection
    assert connection is not None
    assert desk.patient.id
    work: list[str] = []

    def note(_connection: object, _cursor: object, sql: str, *_: object) -> None:
        work.append(sql)

    done = []
    # The first one writes the job, the later ones find it waiting.
    await ask_for_help(db, AskForHelp("0" * 12), HOME, now)
    event.listen(connection, "before_cursor_execute", note)
    for word in (number, "nobody.at.all", number):
        work.clear()
        await ask_for_help(db, AskForHelp(word), HOME, now)
        done.append(tuple(work))
    event.remove(connection, "before_cursor_execute", note)
    assert len(done[0]) > 3
    assert len(set(done)) == 1


def test_the_runner_tells_of_requests_for_help() -> None:
    """A job nobody registers would wait for ever."""
    assert recoveries in JOBS
