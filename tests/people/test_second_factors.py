"""Second factors: who is asked for one, what fits once, and what a guess costs."""

from datetime import datetime, timedelta

import pyotp
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import facts, recovery_codes, second_factors, totp
from people.audit import AuditActs
from people.passwords import PasswordChange, change_password, set_password
from people.persons import Persons
from people.proofs import (
    PasswordProof,
    RecoveryProof,
    SecondStepOver,
    SecondStepTaken,
    TotpProof,
    prove_again,
    take_second,
)
from people.refused import NotFound, NotSignedIn, TooManyAttempts
from people.second_factors import LastFactor, SecondStep, SignedInAs, Way
from people.sessions import Caller, end_sessions_of, session_person
from people.sign_in import sign_in
from people.step_up import FRESH, StepUpNeeded, WrongProof, require_fresh
from people.throttle import ACCOUNT_FREE
from people.totp import TotpSecrets, TotpThere
from storage.sealing import CannotOpen, seal, unseal

HOME = "192.0.2.7"
PASSWORD = "синий трамвай"
KEY = b"k" * 32
STEP = timedelta(seconds=30)


@pytest.fixture
async def amina(db: AsyncSession, doctor: Persons, now: datetime) -> Persons:
    """A doctor with a login and no second factor."""
    await set_password(db, doctor.id, "doctor.amina", PASSWORD, now)
    return doctor


async def first_step(
    db: AsyncSession, now: datetime, *, required: bool = False
) -> SignedInAs | SecondStep:
    return await sign_in(db, "doctor.amina", PASSWORD, HOME, now, factor_required=required)


async def signed_in(db: AsyncSession, now: datetime) -> Caller:
    found = await first_step(db, now)
    assert isinstance(found, SignedInAs)
    return await session_person(db, found.session.token, now)


async def with_totp(db: AsyncSession, now: datetime) -> tuple[pyotp.TOTP, list[str], Caller]:
    """Enrol: the application, the recovery codes, the session that did it."""
    caller = await signed_in(db, now)
    proposed = await second_factors.begin_totp(db, KEY, caller, now)
    phone = pyotp.TOTP(proposed.secret)
    made = await second_factors.confirm_totp(db, KEY, caller, phone.at(now), now)
    return phone, made.recovery_codes, caller


async def second(db: AsyncSession, token: str, code: str, now: datetime) -> SignedInAs:
    taken = SecondStepTaken(token, TotpProof(code))
    return await take_second(db, KEY, taken, HOME, now)


async def asked(db: AsyncSession, now: datetime) -> SecondStep:
    found = await first_step(db, now)
    assert isinstance(found, SecondStep)
    return found


@pytest.mark.usefixtures("amina")
async def test_who_has_a_factor_gets_no_session_by_the_password_alone(
    db: AsyncSession, now: datetime
) -> None:
    """A token for the second step instead, and nothing said to have signed in."""
    phone, _, _ = await with_totp(db, now)
    facts.take(db)
    step = await asked(db, now + STEP)
    assert step.ways == [Way.TOTP, Way.RECOVERY_CODE]
    assert facts.take(db) == []
    with pytest.raises(NotSignedIn):
        await session_person(db, step.second_step, now + STEP)
    found = await second(db, step.second_step, phone.at(now + STEP), now + STEP)
    assert (await session_person(db, found.session.token, now + STEP)).enrolling is False


@pytest.mark.usefixtures("amina")
async def test_a_code_of_the_application_works_once(db: AsyncSession, now: datetime) -> None:
    """Neither again at sign-in nor at step-up nor on another second step."""
    phone, _, caller = await with_totp(db, now)
    later = now + 2 * STEP
    code = phone.at(later)
    await second(db, (await asked(db, later)).second_step, code, later)
    with pytest.raises(WrongProof):
        await second(db, (await asked(db, later)).second_step, code, later)
    with pytest.raises(WrongProof):
        await prove_again(db, KEY, caller, TotpProof(code), HOME, later)


@pytest.mark.usefixtures("amina")
async def test_the_code_that_set_the_application_up_signs_nobody_in(
    db: AsyncSession, now: datetime
) -> None:
    phone, _, _ = await with_totp(db, now)
    with pytest.raises(WrongProof):
        await second(db, (await asked(db, now)).second_step, phone.at(now), now)


@pytest.mark.usefixtures("amina")
@pytest.mark.parametrize(("steps", "fits"), [(-2, False), (-1, True), (1, True), (2, False)])
async def test_a_phone_may_be_half_a_minute_wrong(
    db: AsyncSession, now: datetime, steps: int, fits: bool
) -> None:
    phone, _, caller = await with_totp(db, now)
    later = now + timedelta(minutes=5)
    code = phone.at(later + steps * STEP)
    assert await totp.fits(db, KEY, caller.person_id, code, later) is fits


@pytest.mark.usefixtures("amina")
async def test_a_second_step_is_for_one_sign_in_and_five_minutes(
    db: AsyncSession, now: datetime
) -> None:
    """A typo does not end it; success and time do."""
    phone, _, _ = await with_totp(db, now)
    later = now + 2 * STEP
    step = await asked(db, later)
    with pytest.raises(WrongProof):
        await second(db, step.second_step, "000000", later)
    await second(db, step.second_step, phone.at(later), later)
    with pytest.raises(SecondStepOver):
        await second(db, step.second_step, phone.at(later + STEP), later + STEP)
    late = later + 2 * STEP
    step = await asked(db, late)
    over = late + second_factors.SECOND_STEP_LIFE
    with pytest.raises(SecondStepOver):
        await second(db, step.second_step, phone.at(over), over)


@pytest.mark.usefixtures("amina")
async def test_a_recovery_code_replaces_the_phone_once(db: AsyncSession, now: datetime) -> None:
    """Typed with capitals and without hyphens as well; nine are left."""
    _, codes, caller = await with_totp(db, now)
    assert len(set(codes)) == recovery_codes.HOW_MANY
    typed = RecoveryProof(codes[3].upper().replace("-", " "))
    for again in (False, True):
        token = (await asked(db, now)).second_step
        taking = take_second(db, KEY, SecondStepTaken(token, typed), HOME, now)
        if again:
            with pytest.raises(WrongProof):
                await taking
        else:
            await taking
    assert await recovery_codes.left(db, caller.person_id) == recovery_codes.HOW_MANY - 1


@pytest.mark.usefixtures("amina")
async def test_new_recovery_codes_make_the_old_sheet_worthless(
    db: AsyncSession, now: datetime
) -> None:
    _, codes, caller = await with_totp(db, now)
    sheet = await second_factors.new_recovery_codes(db, caller, now)
    assert not await recovery_codes.fits(db, caller.person_id, codes[0])
    assert await recovery_codes.fits(db, caller.person_id, sheet.codes[0])


@pytest.mark.usefixtures("amina")
async def test_codes_are_guessed_at_the_price_of_passwords(db: AsyncSession, now: datetime) -> None:
    """Two hundred, from as many networks as one likes: fewer than ten are looked at."""
    await with_totp(db, now)
    step = await asked(db, now)
    evaluated = 0
    for guess in range(200):
        try:
            taken = SecondStepTaken(step.second_step, TotpProof("000000"))
            await take_second(db, KEY, taken, f"203.0.{guess}.1", now)
        except WrongProof:
            evaluated += 1
        except TooManyAttempts:
            pass
    assert 0 < evaluated < 10


@pytest.mark.usefixtures("amina")
async def test_a_known_password_buys_no_fresh_tries_at_the_codes(
    db: AsyncSession, now: datetime
) -> None:
    """It forgets failures only when it opens a session."""
    await with_totp(db, now)
    for _ in range(ACCOUNT_FREE + 1):
        found = await sign_in(db, "doctor.amina", PASSWORD, "203.0.113.1", now)
        assert isinstance(found, SecondStep)
        taken = SecondStepTaken(found.second_step, TotpProof("000000"))
        with pytest.raises(WrongProof):
            await take_second(db, KEY, taken, "203.0.113.1", now)
    with pytest.raises(TooManyAttempts):
        await sign_in(db, "doctor.amina", PASSWORD, "203.0.113.1", now)


@pytest.mark.usefixtures("amina")
async def test_a_stolen_session_guesses_no_password_by_step_up(
    db: AsyncSession, now: datetime
) -> None:
    """Two hundred tries, fewer than ten looked at."""
    caller = await signed_in(db, now)
    evaluated = 0
    for guess in range(200):
        try:
            proof = PasswordProof(f"guess {guess}")
            await prove_again(db, KEY, caller, proof, f"203.0.{guess}.1", now)
        except WrongProof:
            evaluated += 1
        except TooManyAttempts:
            pass
    assert 0 < evaluated <= ACCOUNT_FREE + 1


@pytest.mark.usefixtures("amina")
async def test_step_up_makes_the_session_fresh_under_another_token(
    db: AsyncSession, now: datetime
) -> None:
    """The old token is worth nothing from then on."""
    found = await first_step(db, now)
    assert isinstance(found, SignedInAs)
    later = now + FRESH + timedelta(seconds=1)
    caller = await session_person(db, found.session.token, later)
    with pytest.raises(StepUpNeeded):
        require_fresh(caller, later)
    renewed = await prove_again(db, KEY, caller, PasswordProof(PASSWORD), HOME, later)
    fresh = await session_person(db, renewed.token, later)
    require_fresh(fresh, later)
    assert fresh.session_id == caller.session_id
    with pytest.raises(NotSignedIn):
        await session_person(db, found.session.token, later)


@pytest.mark.usefixtures("amina")
async def test_factors_change_only_after_a_fresh_proof(db: AsyncSession, now: datetime) -> None:
    _, _, caller = await with_totp(db, now)
    later = now + FRESH + timedelta(seconds=1)
    for verb in (
        second_factors.begin_totp(db, KEY, caller, later),
        second_factors.confirm_totp(db, KEY, caller, "000000", later),
        second_factors.remove_totp(db, caller, later, required=False),
        second_factors.begin_passkey(db, caller, "http://localhost", later),
        second_factors.remove_passkey(db, caller, caller.person_id, later, required=False),
        second_factors.new_recovery_codes(db, caller, later),
    ):
        with pytest.raises(StepUpNeeded):
            await verb


@pytest.mark.usefixtures("amina")
async def test_staff_without_a_factor_can_only_make_one_where_it_is_required(
    db: AsyncSession, now: datetime
) -> None:
    """Until it is made in it; who waits with the password alone is put out, and adds nothing."""
    thief = await first_step(db, now, required=True)
    assert isinstance(thief, SignedInAs)
    theirs = await session_person(db, thief.session.token, now)
    found = await first_step(db, now, required=True)
    assert isinstance(found, SignedInAs)
    assert found.me.enrolment_needed
    caller = await session_person(db, found.session.token, now)
    assert caller.enrolling
    proposed = await second_factors.begin_totp(db, KEY, caller, now)
    code = pyotp.TOTP(proposed.secret).at(now)
    await second_factors.confirm_totp(db, KEY, caller, code, now)
    assert not (await session_person(db, found.session.token, now)).enrolling
    with pytest.raises(NotSignedIn):
        await session_person(db, thief.session.token, now)
    with pytest.raises(NotSignedIn):
        await second_factors.begin_passkey(db, theirs, "http://localhost", now)


@pytest.mark.usefixtures("amina")
async def test_what_did_not_fit_is_written_down(db: AsyncSession, now: datetime) -> None:
    """At the second step, at step-up, and when the password is changed."""
    _, _, caller = await with_totp(db, now)
    with pytest.raises(WrongProof):
        await second(db, (await asked(db, now)).second_step, "000000", now)
    with pytest.raises(WrongProof):
        await prove_again(db, KEY, caller, PasswordProof("guess"), HOME, now)
    change = PasswordChange("guess", "жёлтый автобус")
    with pytest.raises(WrongProof):
        await change_password(db, caller, change, HOME, now)
    query = select(AuditActs).where(AuditActs.act == "proof_failed")
    rows = (await db.scalars(query)).all()
    assert [row.subject_id for row in rows] == [caller.person_id] * 3
    assert {row.details["network"] for row in rows} == {"192.0.2.0/24"}


@pytest.mark.usefixtures("amina")
async def test_a_second_step_begun_before_all_sessions_ended_opens_none(
    db: AsyncSession, now: datetime
) -> None:
    """Whoever knew the old password stands before the second step in vain."""
    phone, _, caller = await with_totp(db, now)
    step = await asked(db, now + STEP)
    await end_sessions_of(db, caller.person_id, now)
    with pytest.raises(SecondStepOver):
        await second(db, step.second_step, phone.at(now + STEP), now + STEP)


async def test_a_patient_is_not_asked_for_a_factor(
    db: AsyncSession, patient: Persons, now: datetime
) -> None:
    await set_password(db, patient.id, "rinat", PASSWORD, now)
    found = await sign_in(db, "rinat", PASSWORD, HOME, now, factor_required=True)
    assert isinstance(found, SignedInAs)
    assert not found.me.enrolment_needed


@pytest.mark.usefixtures("amina")
async def test_the_last_factor_stays_where_one_is_required(db: AsyncSession, now: datetime) -> None:
    """Where it is only offered it goes, and the recovery codes with it."""
    _, _, caller = await with_totp(db, now)
    async with db.begin_nested() as kept:
        with pytest.raises(LastFactor):
            await second_factors.remove_totp(db, caller, now, required=True)
        await kept.rollback()
    await second_factors.remove_totp(db, caller, now, required=False)
    assert await recovery_codes.left(db, caller.person_id) == 0
    assert isinstance(await first_step(db, now), SignedInAs)
    with pytest.raises(NotFound):
        await second_factors.remove_totp(db, caller, now, required=False)


@pytest.mark.usefixtures("amina")
async def test_a_secret_that_is_not_confirmed_is_no_factor(db: AsyncSession, now: datetime) -> None:
    """It may be proposed anew, as often as one likes; a confirmed one stays."""
    caller = await signed_in(db, now)
    first = await second_factors.begin_totp(db, KEY, caller, now)
    again = await second_factors.begin_totp(db, KEY, caller, now)
    assert first.secret != again.secret
    assert isinstance(await first_step(db, now), SignedInAs)
    with pytest.raises(WrongProof):
        await second_factors.confirm_totp(db, KEY, caller, pyotp.TOTP(first.secret).at(now), now)
    await second_factors.confirm_totp(db, KEY, caller, pyotp.TOTP(again.secret).at(now), now)
    with pytest.raises(TotpThere):
        await second_factors.begin_totp(db, KEY, caller, now)


@pytest.mark.usefixtures("amina")
async def test_the_store_holds_the_secret_sealed_for_its_row(
    db: AsyncSession, now: datetime
) -> None:
    """Neither another key nor another row opens it; recovery codes are kept as digests."""
    caller = await signed_in(db, now)
    proposed = await second_factors.begin_totp(db, KEY, caller, now)
    row = (await db.scalars(select(TotpSecrets))).one()
    assert proposed.secret.encode() not in row.sealed
    assert unseal(KEY, row.sealed, row.id.bytes).decode() == proposed.secret
    for key, about in ((b"x" * 32, row.id.bytes), (KEY, caller.person_id.bytes)):
        with pytest.raises(CannotOpen):
            unseal(key, row.sealed, about)
    with pytest.raises(CannotOpen):
        unseal(KEY, b"\x02" + seal(KEY, b"x", b"")[1:], b"")


@pytest.mark.usefixtures("amina")
async def test_used_codes_are_remembered_no_longer_than_they_fit(
    db: AsyncSession, now: datetime
) -> None:
    phone, _, caller = await with_totp(db, now)
    later = now + timedelta(hours=1)
    assert await totp.fits(db, KEY, caller.person_id, phone.at(later), later)
    assert await db.scalar(select(func.count()).select_from(totp.TotpUsed)) == 1
