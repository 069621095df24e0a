"""Coming in with a QR card: the date of birth, browsers that are known, and guesses."""

import secrets
from datetime import date, datetime, timedelta

import pyotp
import pytest
from card_world import BORN, ELSEWHERE, HOME, Desk, session_of, show
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import second_factors
from people.audit import AuditActs
from people.cards import (
    MAX_TRIES,
    BirthDateNeeded,
    CardBrowsers,
    CardLocked,
    Cards,
    WrongBirthDate,
    card_fits,
    issue_card,
    new_secret,
    revoke_cards_of,
)
from people.device_tokens import token_hash
from people.entering import CardRefused
from people.organisations import Organisations
from people.persons import Persons
from people.policy import Actor
from people.proofs import SecondStepOver, SecondStepTaken, TotpProof, take_second
from people.refused import TooManyAttempts
from people.second_factors import SecondStep
from people.sessions import Sessions, session_person, start_session
from people.throttle import NETWORK_FREE

KEY = b"k" * 32


async def test_a_card_and_the_date_of_birth_open_a_session(
    db: AsyncSession, patient: Persons, secret: str, now: datetime
) -> None:
    """The session knows by which card, and it is written down."""
    found = session_of(await show(db, secret, now, born=BORN))
    assert (await session_person(db, found.session.token, now)).person_id == patient.id
    row = await db.get_one(Sessions, found.session.id)
    card_id = await db.scalar(select(Cards.id))
    assert (row.method, row.opened_by) == ("card", card_id)


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
