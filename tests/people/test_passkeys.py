"""Passkeys: one answer to one question, by the right key, from the right page."""

from datetime import datetime, timedelta

import msgspec
import pytest
from soft_key import SoftKey
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import passkeys, proofs, second_factors, throttle
from people.audit import AuditActs
from people.identities import set_out_to_sign_in
from people.passkeys import LIFE, KeyAnswer, PasskeyRefused, Purpose
from people.passwords import set_password
from people.persons import Persons
from people.proofs import PasskeyProof, SecondStepAsked, SecondStepTaken
from people.refused import NotFound, TooManyAttempts
from people.second_factors import SecondStep, SignedInAs, Way
from people.sessions import Caller, session_person, start_session
from people.sign_in import sign_in
from people.step_up import WrongProof
from people.throttle import NETWORK_FREE

ORIGIN, HOME, KEY = "http://localhost:8000", "192.0.2.7", b"k" * 32


@pytest.fixture
async def caller(db: AsyncSession, doctor: Persons, now: datetime) -> Caller:
    """A doctor who has just signed in with a password."""
    await set_password(db, doctor.id, "doctor.amina", "синий трамвай", now)
    made = await start_session(db, doctor.id, "192.0.2.0/24", now, staff=True)
    return await session_person(db, made.token, now)


async def enrol(db: AsyncSession, caller: Caller, key: SoftKey, now: datetime) -> list[str]:
    asked = await second_factors.begin_passkey(db, caller, ORIGIN, now)
    return (await second_factors.add_passkey(db, caller, key.make(asked), now)).recovery_codes


async def test_a_passkey_alone_opens_a_session(
    db: AsyncSession, caller: Caller, now: datetime
) -> None:
    """Nobody is named before: the device knows whose it is."""
    key = SoftKey()
    assert len(await enrol(db, caller, key, now)) == 10
    question = await proofs.ask_alone(db, ORIGIN, HOME, now)
    assert question.keys == []
    found = await proofs.sign_in_by_key(db, key.answer(question), HOME, now)
    assert found.me.id == caller.person_id
    assert (await passkeys.list_keys(db, caller.person_id))[0].used_at == now


async def test_without_knowing_its_holder_a_passkey_is_one_step_of_two(
    db: AsyncSession, caller: Caller, now: datetime
) -> None:
    """Refused alone; after the password it is enough."""
    key = SoftKey(verifies=False)
    await enrol(db, caller, key, now)
    with pytest.raises(PasskeyRefused):
        await proofs.sign_in_by_key(
            db, key.answer(await proofs.ask_alone(db, ORIGIN, HOME, now)), HOME, now
        )
    step = await sign_in(db, "doctor.amina", "синий трамвай", HOME, now)
    assert isinstance(step, SecondStep)
    assert step.ways == [Way.PASSKEY, Way.RECOVERY_CODE]
    asked = await proofs.ask_second(db, SecondStepAsked(step.second_step), ORIGIN, HOME, now)
    assert asked.keys == [key.credential_id]
    taken = SecondStepTaken(step.second_step, PasskeyProof(key.answer(asked)))
    assert isinstance(await proofs.take_second(db, KEY, taken, HOME, now), SignedInAs)


async def test_a_right_key_does_not_wait_for_guesses_of_others_in_its_network(
    db: AsyncSession, caller: Caller, now: datetime
) -> None:
    """A wrong one does, and is written down."""
    key = SoftKey()
    await enrol(db, caller, key, now)
    for _ in range(NETWORK_FREE + 1):
        await throttle.failed(db, await throttle.begin(db, None, "192.0.2.0/24", now), now)
    question = await proofs.ask_alone(db, ORIGIN, HOME, now)
    stranger = SoftKey().answer(await proofs.ask_alone(db, ORIGIN, HOME, now))
    with pytest.raises(TooManyAttempts):
        await proofs.sign_in_by_key(db, stranger, HOME, now)
    found = await proofs.sign_in_by_key(db, key.answer(question), HOME, now)
    assert found.me.id == caller.person_id
    with pytest.raises(PasskeyRefused):
        await proofs.sign_in_by_key(db, stranger, "198.51.100.9", now)
    assert "proof_failed" in (await db.scalars(select(AuditActs.act))).all()


async def test_questions_that_nobody_answers_come_to_an_end(
    db: AsyncSession, caller: Caller, now: datetime
) -> None:
    """Each is a row; a school where everybody answers goes on and holds no sign-in back."""
    key = SoftKey()
    await enrol(db, caller, key, now)
    for _ in range(NETWORK_FREE):
        question = await proofs.ask_alone(db, ORIGIN, HOME, now)
    for _ in range(3):
        await proofs.sign_in_by_key(db, key.answer(question), HOME, now)
        question = await proofs.ask_alone(db, ORIGIN, HOME, now)
    await proofs.ask_alone(db, ORIGIN, HOME, now)
    with pytest.raises(TooManyAttempts):
        await proofs.ask_alone(db, ORIGIN, HOME, now)
    step = await sign_in(db, "doctor.amina", "синий трамвай", HOME, now)
    assert isinstance(step, SecondStep)
    with pytest.raises(TooManyAttempts):
        await proofs.ask_second(db, SecondStepAsked(step.second_step), ORIGIN, HOME, now)
    journeys = [await set_out_to_sign_in(db, HOME, now) for _ in range(NETWORK_FREE + 1)]
    assert len(set(journeys)) == NETWORK_FREE + 1
    with pytest.raises(TooManyAttempts):
        await set_out_to_sign_in(db, HOME, now)


async def test_an_answer_serves_once(db: AsyncSession, caller: Caller, now: datetime) -> None:
    """And not after two minutes."""
    key = SoftKey()
    await enrol(db, caller, key, now)
    answer = key.answer(await proofs.ask_alone(db, ORIGIN, HOME, now))
    await proofs.sign_in_by_key(db, answer, HOME, now)
    with pytest.raises(PasskeyRefused):
        await proofs.sign_in_by_key(db, answer, HOME, now)
    late = key.answer(await proofs.ask_alone(db, ORIGIN, HOME, now))
    with pytest.raises(PasskeyRefused):
        await proofs.sign_in_by_key(db, late, HOME, now + LIFE)


async def test_an_answer_is_for_what_was_asked(
    db: AsyncSession, caller: Caller, patient: Persons, now: datetime
) -> None:
    """Not for another purpose, nor another person."""
    key = SoftKey()
    await enrol(db, caller, key, now)
    alone = key.answer(await proofs.ask_alone(db, ORIGIN, HOME, now))
    with pytest.raises(WrongProof):
        await proofs.prove_again(db, KEY, caller, PasskeyProof(alone), HOME, now)
    other = await passkeys.ask(db, patient.id, Purpose.STEP_UP, ORIGIN, now)
    with pytest.raises(PasskeyRefused):
        await passkeys.answered_by(db, key.answer(other), Purpose.STEP_UP, patient.id, now)
    mine = await proofs.ask_again(db, caller, ORIGIN, now)
    await proofs.prove_again(db, KEY, caller, PasskeyProof(key.answer(mine)), HOME, now)


@pytest.mark.parametrize("wrong", ["origin", "key", "signature", "client data", "copied key"])
async def test_a_wrong_answer_is_refused(
    db: AsyncSession, caller: Caller, now: datetime, wrong: str
) -> None:
    """Of a page that looks like ours, by another key, changed on the way, by a copy."""
    key = SoftKey(count=5)
    await enrol(db, caller, key, now)
    question = await proofs.ask_alone(db, ORIGIN, HOME, now)
    other = SoftKey(credential_id=key.credential_id, count=9)
    if wrong == "origin":
        key.origin = "http://localhost.evil.example:8000"
    elif wrong == "copied key":
        key.count = 1
    answer = (other if wrong == "key" else key).answer(question)
    if wrong == "signature":
        answer = msgspec.structs.replace(answer, signature=answer.signature[:-1] + b"\0")
    elif wrong == "client data":
        answer = msgspec.structs.replace(answer, client_data=answer.client_data + b" ")
    with pytest.raises(PasskeyRefused):
        await proofs.sign_in_by_key(db, answer, HOME, now)


@pytest.mark.parametrize("client", [b"x", b"{}", b'{"type":1,"challenge":2,"origin":3}', b"\xff"])
async def test_bytes_that_are_no_answer_are_refused(
    db: AsyncSession, now: datetime, client: bytes
) -> None:
    """Whatever the parser stumbles over."""
    with pytest.raises(PasskeyRefused):
        await proofs.sign_in_by_key(db, KeyAnswer(b"x", client, b"x", b"x"), HOME, now)


@pytest.mark.parametrize("broken", [b"x", b"\xa0", b"\xbf", b"\xa1\x63fmt\x64none"])
async def test_a_key_that_is_none_is_not_kept(
    db: AsyncSession, caller: Caller, now: datetime, broken: bytes
) -> None:
    asked = await second_factors.begin_passkey(db, caller, ORIGIN, now)
    made = msgspec.structs.replace(SoftKey().make(asked), attestation=broken)
    with pytest.raises(PasskeyRefused):
        await second_factors.add_passkey(db, caller, made, now)
    assert await passkeys.list_keys(db, caller.person_id) == []


async def test_one_key_is_one_persons(
    db: AsyncSession, caller: Caller, patient: Persons, now: datetime
) -> None:
    """Nobody adds somebody else's key, nor answers another's question to make one."""
    key = SoftKey()
    await enrol(db, caller, key, now)
    made = await start_session(db, patient.id, "192.0.2.0/24", now, staff=False)
    other = await session_person(db, made.token, now)
    asked = await second_factors.begin_passkey(db, other, ORIGIN, now)
    with pytest.raises(PasskeyRefused):
        await second_factors.add_passkey(db, other, key.make(asked), now)
    mine = await second_factors.begin_passkey(db, caller, ORIGIN, now)
    with pytest.raises(PasskeyRefused):
        await second_factors.add_passkey(db, other, SoftKey().make(mine), now)
    owned = await passkeys.list_keys(db, caller.person_id)
    with pytest.raises(NotFound):
        await second_factors.remove_passkey(db, other, owned[0].id, now, required=False)
    assert await passkeys.list_keys(db, caller.person_id) == owned


async def test_a_device_that_has_a_key_is_told_so(
    db: AsyncSession, caller: Caller, now: datetime
) -> None:
    key = SoftKey()
    await enrol(db, caller, key, now)
    asked = await second_factors.begin_passkey(db, caller, ORIGIN, now + timedelta(minutes=1))
    assert asked.known == [key.credential_id]
    assert asked.rp_id == "localhost"
