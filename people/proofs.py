"""Proofs: what somebody shows to be a person, at the second step and at step-up.

Both are throttled by the counters of sign-in: a code guessed here is a guess at the account.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from people import passkeys, recovery_codes, throttle, totp
from people.cards import card_fits
from people.device_tokens import token_hash
from people.passkeys import KeyAnswer, KeyQuestion, PasskeyRefused, Purpose
from people.passwords import account_of, has_password
from people.policy import Act, Thing, require
from people.refused import Refused
from people.second_factors import (
    SignedInAs,
    Way,
    open_session,
    used_recovery_code,
)
from people.second_steps import SecondSteps
from people.sessions import Caller, NewSession, prove
from people.step_up import WrongProof

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class _Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="way"):
    """One way to prove who one is."""


class PasswordProof(_Proof, frozen=True, tag="password"):
    """The password."""

    password: Text


class TotpProof(_Proof, frozen=True, tag="totp"):
    """A code of the authenticator application."""

    code: Text


class RecoveryProof(_Proof, frozen=True, tag="recovery_code"):
    """A code of the recovery sheet."""

    code: Text


class PasskeyProof(_Proof, frozen=True, tag="passkey"):
    """A key's answer to a challenge."""

    answer: KeyAnswer


class CardProof(_Proof, frozen=True, tag="card"):
    """The card by which a patient, parent or pupil gets in."""

    secret: Text


# Passkeys that were asked for from a network and have not answered.
_KEY_QUESTIONS = "passkey questions"

SecondProof = TotpProof | RecoveryProof | PasskeyProof
AnyProof = PasswordProof | TotpProof | PasskeyProof | CardProof


class SecondStepTaken(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token of the first step, and the second proof."""

    second_step: Text
    proof: SecondProof


class StepUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Proof of still being the session's person."""

    proof: AnyProof


class SecondStepAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The token of the first step, to be given a challenge for a passkey."""

    second_step: Text


class SecondStepOver(Refused):
    """The token of the first step is unknown, used or too old: begin with the first step."""

    status = 401
    code = "second_step_over"


async def ask_second(
    db: AsyncSession, asked: SecondStepAsked, origin: str, network: str, now: datetime
) -> KeyQuestion:
    """Give the challenge for the second step by passkey. Raises SecondStepOver, TooManyAttempts."""
    step = await _step(db, asked.second_step, now)
    await throttle.asked(db, _KEY_QUESTIONS, throttle.network_prefix(network), now)
    return await passkeys.ask(db, step.person_id, Purpose.SECOND_STEP, origin, now)


async def take_second(
    db: AsyncSession, key: bytes, taken: SecondStepTaken, network: str, now: datetime
) -> SignedInAs:
    """Open the session of the second step. Raises SecondStepOver, TooManyAttempts, WrongProof."""
    step = await _step(db, taken.second_step, now)
    prefix = throttle.network_prefix(network)
    shown = _Shown(taken.proof, Purpose.SECOND_STEP)
    await _counted(db, key, step.person_id, shown, prefix, now)
    gone = delete(SecondSteps).where(SecondSteps.sha256 == step.sha256)
    if await db.scalar(gone.returning(SecondSteps.person_id)) is None:
        raise SecondStepOver
    if isinstance(taken.proof, PasskeyProof):
        await throttle.answered(db, _KEY_QUESTIONS, prefix)
    if isinstance(taken.proof, RecoveryProof):
        await used_recovery_code(db, step.person_id, now)
    method = f"{step.method}_{_way(taken.proof)}"
    return await open_session(
        db, step.person_id, prefix, now, method=method, opened_by=step.opened_by
    )


async def ask_alone(db: AsyncSession, origin: str, network: str, now: datetime) -> KeyQuestion:
    """Give a challenge to whoever wants to sign in by passkey alone. Raises TooManyAttempts."""
    await throttle.asked(db, _KEY_QUESTIONS, throttle.network_prefix(network), now)
    return await passkeys.ask(db, None, Purpose.SIGN_IN, origin, now)


async def sign_in_by_key(
    db: AsyncSession, answer: KeyAnswer, network: str, now: datetime
) -> SignedInAs:
    """Open the session of whose key answered: the device knew its owner, which are two factors.

    Raises TooManyAttempts, PasskeyRefused.
    """
    prefix = throttle.network_prefix(network)
    try:
        # A key is not guessed: whoever holds it does not wait for what others did in the network.
        person_id = await passkeys.answered_by(db, answer, Purpose.SIGN_IN, None, now)
    except PasskeyRefused:
        attempt = await throttle.begin(db, None, prefix, now)
        await throttle.proof_failed(db, None, prefix, now)
        await throttle.failed(db, attempt, now)
        raise
    await throttle.answered(db, _KEY_QUESTIONS, prefix)
    return await open_session(db, person_id, prefix, now, method=Way.PASSKEY.value)


async def ask_again(db: AsyncSession, caller: Caller, origin: str, now: datetime) -> KeyQuestion:
    """Give the challenge for a step-up by passkey."""
    require(caller.actor, Act.ACCOUNT, Thing(subject_id=caller.person_id), now)
    return await passkeys.ask(db, caller.person_id, Purpose.STEP_UP, origin, now)


async def prove_again(  # noqa: PLR0917 - what the request gives
    db: AsyncSession, key: bytes, caller: Caller, proof: AnyProof, network: str, now: datetime
) -> NewSession:
    """Prove the session's person again; gives its new token. Raises TooManyAttempts, WrongProof."""
    require(caller.actor, Act.ACCOUNT, Thing(subject_id=caller.person_id), now)
    prefix = throttle.network_prefix(network)
    shown = _Shown(proof, Purpose.STEP_UP)
    await _counted(db, key, caller.person_id, shown, prefix, now)
    return await prove(db, caller.session_id, now)


async def _step(db: AsyncSession, token: str, now: datetime) -> SecondSteps:
    query = select(SecondSteps).where(
        SecondSteps.sha256 == token_hash(token), SecondSteps.expires_at > now
    )
    row = await db.scalar(query)
    if row is None:
        raise SecondStepOver
    return row


class _Shown(msgspec.Struct, frozen=True):
    proof: AnyProof | SecondProof
    purpose: Purpose


async def _counted(  # noqa: PLR0917 - one step of both verbs
    db: AsyncSession, key: bytes, person_id: UUID, shown: _Shown, prefix: str, now: datetime
) -> None:
    """Look at a proof by leave of the throttle. Raises TooManyAttempts, WrongProof."""
    known = await throttle.is_known_here(db, person_id, prefix, now)
    account = await account_of(db, person_id)
    attempt = await throttle.begin(db, account, prefix, now, known_here=known)
    if not await _fits(db, key, person_id, shown, now):
        await throttle.proof_failed(db, person_id, prefix, now)
        await throttle.failed(db, attempt, now)
        raise WrongProof
    await throttle.succeeded(db, attempt, now)


async def _fits(
    db: AsyncSession, key: bytes, person_id: UUID, shown: _Shown, now: datetime
) -> bool:
    match shown.proof:
        case PasswordProof(password):
            return await has_password(db, person_id, password)
        case TotpProof(code):
            return await totp.fits(db, key, person_id, code, now)
        case RecoveryProof(code):
            return await recovery_codes.fits(db, person_id, code)
        case CardProof(secret):
            return await card_fits(db, person_id, secret)
        case PasskeyProof(answer):
            try:
                await passkeys.answered_by(db, answer, shown.purpose, person_id, now)
            except PasskeyRefused:
                return False
            return True


def _way(proof: SecondProof) -> str:
    return str(type(proof).__struct_config__.tag)
