"""Sign-in: who gets in, who waits, and what is never told."""

import statistics
import time
from datetime import datetime, timedelta
from hashlib import sha256

import pytest
from argon2 import extract_parameters
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts
from people.passwords import Credentials, set_password
from people.persons import Persons
from people.refused import TooManyAttempts, WrongLoginOrPassword
from people.second_factors import SignedInAs
from people.sessions import STAFF_IDLE, Sessions, session_person
from people.sign_in import sign_in as sign_in_or_ask
from people.throttle import (
    ACCOUNT_CAP_S,
    ACCOUNT_FREE,
    FORGET_AFTER,
    KNOWN_FOR,
    NETWORK_FREE,
    SignInFailures,
    delay_s,
    network_prefix,
)
from storage.engine import new_id

HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"
RIGHT, WRONG = "верный-пароль", "неверный"


async def sign_in(
    db: AsyncSession, login: str, password: str, network: str, now: datetime
) -> SignedInAs:
    """Sign in as somebody who has no second factor."""
    found = await sign_in_or_ask(db, login, password, network, now)
    assert isinstance(found, SignedInAs)
    return found


@pytest.fixture
async def amina(db: AsyncSession, doctor: Persons, now: datetime) -> Persons:
    """A doctor with a login."""
    await set_password(db, doctor.id, "Doctor.Amina", RIGHT, now)
    return doctor


async def fail(
    db: AsyncSession,
    times: int,
    now: datetime,
    network: str = ELSEWHERE,
    login: str = "doctor.amina",
) -> None:
    for _ in range(times):
        with pytest.raises(WrongLoginOrPassword):
            await sign_in(db, login, WRONG, network, now)


async def failures_of(db: AsyncSession, network: str) -> int:
    """What the network's counter says."""
    key = sha256(f"network\0{network_prefix(network)}".encode()).digest()
    query = select(SignInFailures.failures).where(SignInFailures.key == key)
    return await db.scalar(query) or 0


async def test_the_right_password_opens_a_session(
    db: AsyncSession, amina: Persons, now: datetime
) -> None:
    """The login is read without regard to case, and the token leads back to the person."""
    found = await sign_in(db, " doctor.AMINA ", RIGHT, HOME, now)
    assert found.me.id == amina.id
    assert (await session_person(db, found.session.token, now)).person_id == amina.id
    assert isinstance(facts.take(db)[-1], facts.SignedIn)


@pytest.mark.usefixtures("costly_hashing")
async def test_the_store_holds_neither_password_nor_token(
    db: AsyncSession, amina: Persons, now: datetime
) -> None:
    """Only Argon2id with 19 MiB, two passes, one lane; and a SHA-256."""
    found = await sign_in(db, "doctor.amina", RIGHT, HOME, now)
    hashed = await db.scalar(
        select(Credentials.password_hash).where(Credentials.person_id == amina.id)
    )
    assert hashed is not None
    parameters = extract_parameters(hashed)
    assert (parameters.memory_cost, parameters.time_cost, parameters.parallelism) == (19456, 2, 1)
    assert hashed.startswith("$argon2id$")
    row = await db.get_one(Sessions, found.session.id)
    assert len(row.token_sha256) == 32
    assert len(found.session.token) >= 43


@pytest.mark.usefixtures("amina")
async def test_every_sign_in_makes_a_new_token(db: AsyncSession, now: datetime) -> None:
    """No session outlives a change of who sits there."""
    tokens = {(await sign_in(db, "doctor.amina", RIGHT, HOME, now)).session.token for _ in "ab"}
    assert len(tokens) == 2


@pytest.mark.usefixtures("amina")
async def test_a_staff_session_idles_out_sooner(db: AsyncSession, now: datetime) -> None:
    """Fifteen minutes for staff."""
    found = await sign_in(db, "doctor.amina", RIGHT, HOME, now)
    row = await db.get_one(Sessions, found.session.id)
    assert row.idle_until == now + STAFF_IDLE


@pytest.mark.usefixtures("amina")
async def test_unknown_login_and_wrong_password_are_told_the_same(
    db: AsyncSession, now: datetime
) -> None:
    """Nobody learns which logins exist."""
    told = []
    for login in ("doctor.amina", "nobody"):
        with pytest.raises(WrongLoginOrPassword) as refused:
            await sign_in(db, login, WRONG, HOME, now)
        told.append((refused.value.code, refused.value.params, refused.value.keeps_writes))
    assert told[0] == told[1] == ("wrong_login_or_password", {}, True)


@pytest.mark.usefixtures("amina")
async def test_after_a_few_failures_even_the_right_password_waits(
    db: AsyncSession, now: datetime
) -> None:
    """And then it is let in, and the counter forgotten."""
    moment = now
    for failures in range(1, ACCOUNT_FREE + 4):
        await fail(db, 1, moment)
        moment += timedelta(seconds=delay_s(failures, ACCOUNT_FREE, ACCOUNT_CAP_S))
    early = moment - timedelta(seconds=1)
    with pytest.raises(TooManyAttempts) as refused:
        await sign_in(db, "doctor.amina", RIGHT, ELSEWHERE, early)
    assert refused.value.params == {"retry_after_s": 1}
    await sign_in(db, "doctor.amina", RIGHT, ELSEWHERE, moment)
    await fail(db, ACCOUNT_FREE, moment)


@pytest.mark.usefixtures("amina")
async def test_two_hundred_guesses_are_hardly_verified(db: AsyncSession, now: datetime) -> None:
    """Fewer than ten in ten seconds, from as many networks as one likes (threat T12)."""
    verified = 0
    for guess in range(200):
        moment = now + timedelta(milliseconds=50 * guess)
        try:
            await sign_in(db, "doctor.amina", WRONG, f"203.0.{guess}.1", moment)
        except WrongLoginOrPassword:
            verified += 1
        except TooManyAttempts:
            pass
    assert 0 < verified < 10


@pytest.mark.usefixtures("amina")
async def test_guessing_from_elsewhere_does_not_lock_out_the_owner(
    db: AsyncSession, now: datetime
) -> None:
    """A network one has signed in from before has a counter of its own."""
    await sign_in(db, "doctor.amina", RIGHT, HOME, now)
    await fail(db, ACCOUNT_FREE + 1, now)
    with pytest.raises(TooManyAttempts):
        await sign_in(db, "doctor.amina", RIGHT, ELSEWHERE, now)
    await sign_in(db, "doctor.amina", RIGHT, HOME, now)


@pytest.mark.usefixtures("amina")
async def test_failures_are_forgotten_after_an_hour(db: AsyncSession, now: datetime) -> None:
    """Counting starts anew."""
    await fail(db, ACCOUNT_FREE + 1, now)
    later = now + FORGET_AFTER + timedelta(seconds=1)
    await fail(db, 1, later)
    await sign_in(db, "doctor.amina", RIGHT, ELSEWHERE, later)


async def test_a_network_that_tries_many_logins_waits(
    db: AsyncSession, doctor: Persons, now: datetime
) -> None:
    """One password over many accounts is guessing too."""
    await set_password(db, doctor.id, "doctor.amina", RIGHT, now)
    await fail(db, 1, now, network=HOME, login="somebody")
    row = (await db.scalars(select(SignInFailures).where(SignInFailures.failures == 1))).all()
    assert len(row) == 3  # the account's, the network's, and what the network got of the account
    for one in row:
        one.failures = NETWORK_FREE + 3
    await db.flush()
    with pytest.raises(TooManyAttempts):
        await sign_in(db, "doctor.amina", RIGHT, "192.0.2.200", now)


async def test_nobody_keeps_a_person_from_the_network_that_person_uses(
    db: AsyncSession, amina: Persons, patient: Persons, now: datetime
) -> None:
    """However often somebody beside her guesses; a stranger to the network waits."""
    await set_password(db, patient.id, "rinat", RIGHT, now)
    await sign_in(db, "doctor.amina", RIGHT, HOME, now)
    for guess in range(NETWORK_FREE + 6):
        await fail(db, 1, now + guess * timedelta(minutes=1), HOME, login=f"guess {guess}")
    later = now + timedelta(minutes=NETWORK_FREE + 5, seconds=1)
    with pytest.raises(TooManyAttempts):
        await sign_in(db, "rinat", RIGHT, HOME, later)
    assert (await sign_in(db, "doctor.amina", RIGHT, HOME, later)).me.id == amina.id


async def answer_to(
    db: AsyncSession, login: str, password: str, network: str, now: datetime
) -> tuple[str, dict[str, object]]:
    """What a caller is told who is refused."""
    with pytest.raises((WrongLoginOrPassword, TooManyAttempts)) as refused:
        await sign_in(db, login, password, network, now)
    return refused.value.code, dict(refused.value.params)


@pytest.mark.parametrize("guessed_at", ["the network", "the account"])
async def test_while_others_must_wait_nobody_learns_who_signs_in_there(
    db: AsyncSession, amina: Persons, now: datetime, guessed_at: str
) -> None:
    """A wrong password is answered alike for a login known there and for one nobody has."""
    assert (await sign_in(db, "doctor.amina", RIGHT, HOME, now)).me.id == amina.id
    if guessed_at == "the network":
        for guess in range(NETWORK_FREE + 3):
            await fail(db, 1, now + guess * timedelta(minutes=1), HOME, login=f"guess {guess}")
        later = now + timedelta(minutes=NETWORK_FREE + 2, milliseconds=500)
    else:
        for login in ("doctor.amina", "nobody"):
            await fail(db, ACCOUNT_FREE + 1, now, ELSEWHERE, login)
        later = now + timedelta(milliseconds=500)
    for _ in range(ACCOUNT_FREE + 3):
        told = [await answer_to(db, who, WRONG, HOME, later) for who in ("doctor.amina", "nobody")]
        assert told[0] == told[1]
        assert told[0][0] == "too_many_attempts"
    # And her own guesses count there, so that they cannot go on for ever.
    assert (await answer_to(db, "doctor.amina", RIGHT, HOME, later)) == told[0]
    assert (await sign_in(db, "doctor.amina", RIGHT, HOME, later + FORGET_AFTER)).me.id == amina.id


async def test_a_network_is_a_persons_own_for_a_season_only(
    db: AsyncSession, amina: Persons, now: datetime
) -> None:
    """Then it is asked again."""
    assert (await sign_in(db, "doctor.amina", RIGHT, HOME, now)).me.id == amina.id
    later = now + KNOWN_FOR + timedelta(seconds=1)
    for guess in range(NETWORK_FREE + 1):
        await fail(db, 1, later, HOME, login=f"guess {guess}")
    with pytest.raises(TooManyAttempts):
        await sign_in(db, "doctor.amina", RIGHT, HOME, later)


async def test_an_ordinary_morning_blocks_nobody(db: AsyncSession, now: datetime) -> None:
    """Forty-seven of sixty people, all new to the network, mistype once within three hours."""
    for number in range(60):
        person = Persons(id=new_id(), family_name="Хасан", given_name=str(number), created_at=now)
        db.add(person)
        await db.flush()
        await set_password(db, person.id, f"person {number}", RIGHT, now)
    for number in range(60):
        moment = now + number * timedelta(minutes=3)
        if number < 47:
            await fail(db, 1, moment, HOME, login=f"person {number}")
        await sign_in(db, f"person {number}", RIGHT, HOME, moment + timedelta(seconds=5))
    assert await failures_of(db, HOME) == 0


async def test_typos_of_people_who_give_up_are_forgotten_one_by_one(
    db: AsyncSession, amina: Persons, now: datetime
) -> None:
    """Forty-seven over a morning hold up nobody who is new to the network."""
    for typo in range(47):
        moment = now + typo * timedelta(minutes=5)
        await fail(db, 1, moment, HOME, login=f"gave up {typo}")
    assert (await sign_in(db, "doctor.amina", RIGHT, HOME, moment)).me.id == amina.id


async def test_signing_in_oneself_does_not_pay_for_guesses_at_others(
    db: AsyncSession, amina: Persons, patient: Persons, now: datetime
) -> None:
    """A success takes back the person's own failures and no more."""
    assert amina.id != patient.id
    await set_password(db, patient.id, "rinat", RIGHT, now)
    await fail(db, 2, now, HOME, login="rinat")
    for guess in range(NETWORK_FREE - 2):
        await fail(db, 1, now, HOME, login=f"guess {guess}")
    await sign_in(db, "rinat", RIGHT, HOME, now)
    await sign_in(db, "rinat", RIGHT, HOME, now)
    assert await failures_of(db, HOME) == NETWORK_FREE - 2
    await fail(db, 3, now, HOME, login="rinat")
    with pytest.raises(TooManyAttempts):
        await sign_in(db, "doctor.amina", RIGHT, HOME, now)


@pytest.mark.parametrize("typed", ["while it waits", "elsewhere", "long ago"])
async def test_a_success_never_takes_others_guesses_from_the_network(
    db: AsyncSession, patient: Persons, now: datetime, typed: str
) -> None:
    """Only what the network got from that person and still holds is taken back."""
    await set_password(db, patient.id, "rinat", RIGHT, now)
    later = now + timedelta(minutes=10)
    if typed == "while it waits":
        await sign_in(db, "rinat", RIGHT, HOME, now)
    else:
        await fail(db, 4, now, HOME if typed == "long ago" else ELSEWHERE, "rinat")
    others = NETWORK_FREE + (typed == "while it waits")
    for guess in range(others):
        await fail(db, 1, later, HOME, login=f"guess {guess}")
    for _ in range(3):
        if typed == "while it waits":
            for _ in range(ACCOUNT_FREE):
                assert (await answer_to(db, "rinat", WRONG, HOME, later))[0] == "too_many_attempts"
        await sign_in(db, "rinat", RIGHT, HOME, later)
        assert await failures_of(db, HOME) == others


async def test_whoever_keeps_guessing_is_held_to_one_guess_a_minute(
    db: AsyncSession, now: datetime
) -> None:
    """Over an hour, each guess at another login, tried every twenty seconds."""
    verified = 0
    for guess in range(180):
        try:
            moment = now + guess * timedelta(seconds=20)
            await sign_in(db, f"guess {guess}", WRONG, HOME, moment)
        except WrongLoginOrPassword:
            verified += 1
        except TooManyAttempts:
            pass
    assert NETWORK_FREE < verified < NETWORK_FREE + 65


@pytest.mark.usefixtures("amina")
async def test_who_stood_in_line_behind_a_typo_does_not_wait_for_it(
    db: AsyncSession, now: datetime
) -> None:
    """A request is as old as its arrival: it may be older than the failure counted before it."""
    await fail(db, 1, now + timedelta(milliseconds=5))
    await sign_in(db, "doctor.amina", RIGHT, ELSEWHERE, now)


@pytest.mark.parametrize(
    ("failures", "wait"), [(0, 0), (4, 0), (5, 1), (6, 2), (8, 8), (14, 512), (15, 900), (999, 900)]
)
def test_each_wait_is_twice_the_last_up_to_the_cap(failures: int, wait: int) -> None:
    """Seconds for an account."""
    assert delay_s(failures, ACCOUNT_FREE, ACCOUNT_CAP_S) == wait


@pytest.mark.parametrize(
    ("address", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2ff::1", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/56"),
        ("", "unknown"),
        ("not an address", "unknown"),
    ],
)
def test_network_is_what_one_household_gets(address: str, prefix: str) -> None:
    """An address of its own for every guess is no help."""
    assert network_prefix(address) == prefix


@pytest.mark.usefixtures("amina", "costly_hashing")
async def test_known_and_unknown_logins_take_the_same_time(db: AsyncSession, now: datetime) -> None:
    """Medians of refusals differ by less than 20 ms: of the work, which no other program disturbs,
    and the quickest of each by the clock."""
    work: dict[str, list[float]] = {"doctor.amina": [], "nobody.at.all": []}
    clock: dict[str, list[float]] = {"doctor.amina": [], "nobody.at.all": []}
    for hour in range(11):
        for login, works in work.items():
            began, worked = time.perf_counter(), time.process_time()
            await fail(db, 1, now + hour * (FORGET_AFTER + timedelta(seconds=1)), login=login)
            works.append((time.process_time() - worked) * 1000)
            clock[login].append((time.perf_counter() - began) * 1000)
    known_ms, unknown_ms = (statistics.median(taken) for taken in work.values())
    by_clock = [round(statistics.median(taken), 1) for taken in clock.values()]
    print(f"\nwork: known {known_ms:.1f} ms, unknown {unknown_ms:.1f} ms; by the clock {by_clock}")
    assert abs(known_ms - unknown_ms) < 20
    assert abs(min(clock["doctor.amina"]) - min(clock["nobody.at.all"])) < 20


async def test_a_changed_password_replaces_the_old_one(
    db: AsyncSession, amina: Persons, now: datetime
) -> None:
    """One credential per person."""
    await set_password(db, amina.id, "doctor.amina", "новый-пароль", now)
    await fail(db, 1, now)
    with pytest.raises(WrongLoginOrPassword):
        await sign_in(db, "doctor.amina", RIGHT, HOME, now)
    await sign_in(db, "doctor.amina", "новый-пароль", HOME, now)
