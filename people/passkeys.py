"""Passkeys (WebAuthn level 3): the device answers a challenge with a key that never leaves it.

A challenge is ours, for one purpose, two minutes, one answer, and for the page it was given to:
the browser signs the page's origin into the answer. Attestation is not asked for.
"""

import secrets
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import webauthn
from sqlalchemy import ForeignKey, Index, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from webauthn.helpers import bytes_to_base64url, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorAssertionResponse,
    AuthenticatorAttestationResponse,
    RegistrationCredential,
)

from people.refused import NotFound, Refused
from storage.engine import Base, new_id

LIFE = timedelta(minutes=2)
AT_MOST = 20
# Ed25519, ECDSA with P-256, RSA with SHA-256: what browsers and keys have.
ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]

# JSON has these as base64. What a device sends is a few hundred bytes.
Bytes = Annotated[bytes, msgspec.Meta(min_length=1, max_length=16_000)]


class Purpose(StrEnum):
    """What an answer is for."""

    ADD = "add"
    SIGN_IN = "sign_in"  # as the only step
    SECOND_STEP = "second_step"
    STEP_UP = "step_up"


class Passkeys(Base):
    """A key of a person: the public half."""

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    credential_id: Mapped[bytes] = mapped_column(unique=True)
    public_key: Mapped[bytes]
    # What the device says of its uses; going back means a copy.
    sign_count: Mapped[int]
    name: Mapped[str]
    made_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "person_id"),)


class PasskeyChallenges(Base):
    """A challenge that has not been answered. `person_id` is empty while nobody is known yet."""

    __tablename__ = "passkey_challenges"

    challenge: Mapped[bytes] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    person_id: Mapped[UUID | None] = mapped_column(ForeignKey("persons.id"))
    origin: Mapped[str]
    expires_at: Mapped[datetime]

    __table_args__ = (Index(None, "expires_at"),)


class PasskeyRefused(Refused):
    """No answer to a challenge of ours, or not by a key we know. The try counts."""

    status = 403
    code = "passkey_refused"
    keeps_writes = True


class TooManyPasskeys(Refused):
    """More keys than anybody needs."""

    status = 409
    code = "too_many_passkeys"


class Passkey(msgspec.Struct, frozen=True):
    """A key in the list of its person."""

    id: UUID
    name: str
    made_at: datetime
    used_at: datetime | None


class NewKey(msgspec.Struct, frozen=True):
    """What `navigator.credentials.create` is asked for."""

    challenge: bytes
    rp_id: str
    user_id: bytes
    user_name: str
    algorithms: list[int]
    known: list[bytes]


class KeyQuestion(msgspec.Struct, frozen=True):
    """What `navigator.credentials.get` is asked for; without keys, whichever the device has."""

    challenge: bytes
    rp_id: str
    keys: list[bytes]
    alone: bool


class MadeKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `create` gave, and how the person calls the key."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    credential_id: Bytes
    client_data: Bytes
    attestation: Bytes


class KeyAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `get` gave."""

    credential_id: Bytes
    client_data: Bytes
    authenticator_data: Bytes
    signature: Bytes


async def list_keys(db: AsyncSession, person_id: UUID) -> list[Passkey]:
    """The person's keys, oldest first."""
    query = select(Passkeys).where(Passkeys.person_id == person_id).order_by(Passkeys.id)
    rows = (await db.scalars(query)).all()
    return [Passkey(row.id, row.name, row.made_at, row.used_at) for row in rows]


async def ask_to_make(
    db: AsyncSession, person_id: UUID, name: str, origin: str, now: datetime
) -> NewKey:
    """Begin a new key; keys that exist are named, so that no device makes a second one."""
    known = await _ids(db, person_id)
    if len(known) >= AT_MOST:
        raise TooManyPasskeys
    challenge = await _challenge(db, Purpose.ADD, person_id, origin, now)
    numbers = [one.value for one in ALGORITHMS]
    return NewKey(challenge, _rp(origin), person_id.bytes, name, numbers, known)


async def keep(db: AsyncSession, person_id: UUID, made: MadeKey, now: datetime) -> Passkey:
    """Keep a key that was made. Raises PasskeyRefused."""
    asked = await _asked(db, made.client_data, Purpose.ADD, person_id, now)
    try:
        found = webauthn.verify_registration_response(
            credential=RegistrationCredential(
                id=bytes_to_base64url(made.credential_id),
                raw_id=made.credential_id,
                response=AuthenticatorAttestationResponse(
                    client_data_json=made.client_data, attestation_object=made.attestation
                ),
            ),
            expected_challenge=asked.challenge,
            expected_rp_id=_rp(asked.origin),
            expected_origin=asked.origin,
            supported_pub_key_algs=ALGORITHMS,
        )
    except Exception as error:  # a parser of bytes from outside: whatever it stumbles over
        raise PasskeyRefused from error
    same = select(Passkeys.id).where(Passkeys.credential_id == found.credential_id)
    if await db.scalar(same) is not None:
        raise PasskeyRefused
    row = Passkeys(
        id=new_id(),
        person_id=person_id,
        credential_id=found.credential_id,
        public_key=found.credential_public_key,
        sign_count=found.sign_count,
        name=made.name.strip() or "–",
        made_at=now,
    )
    db.add(row)
    await db.flush()
    return Passkey(row.id, row.name, row.made_at, None)


async def ask(
    db: AsyncSession, person_id: UUID | None, purpose: Purpose, origin: str, now: datetime
) -> KeyQuestion:
    """Ask for an answer by one of the person's keys; of anybody when nobody is known."""
    challenge = await _challenge(db, purpose, person_id, origin, now)
    keys = [] if person_id is None else await _ids(db, person_id)
    return KeyQuestion(challenge, _rp(origin), keys, alone=purpose is Purpose.SIGN_IN)


async def answered_by(
    db: AsyncSession, answer: KeyAnswer, purpose: Purpose, person_id: UUID | None, now: datetime
) -> UUID:
    """Give whose key answered. Raises PasskeyRefused.

    As the only step the device must have made sure who holds it (user verification).
    """
    asked = await _asked(db, answer.client_data, purpose, person_id, now)
    query = select(Passkeys).where(Passkeys.credential_id == answer.credential_id)
    row = await db.scalar(query.with_for_update(), execution_options={"populate_existing": True})
    if row is None or person_id not in {None, row.person_id}:
        raise PasskeyRefused
    try:
        found = webauthn.verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(answer.credential_id),
                raw_id=answer.credential_id,
                response=AuthenticatorAssertionResponse(
                    client_data_json=answer.client_data,
                    authenticator_data=answer.authenticator_data,
                    signature=answer.signature,
                ),
            ),
            expected_challenge=asked.challenge,
            expected_rp_id=_rp(asked.origin),
            expected_origin=asked.origin,
            credential_public_key=row.public_key,
            credential_current_sign_count=row.sign_count,
            require_user_verification=purpose is Purpose.SIGN_IN,
        )
    except Exception as error:  # a parser of bytes from outside: whatever it stumbles over
        raise PasskeyRefused from error
    row.sign_count, row.used_at = found.new_sign_count, now
    await db.flush()
    return row.person_id


async def remove_key(db: AsyncSession, person_id: UUID, key_id: UUID) -> None:
    """Forget one of the person's keys. Raises NotFound for any other."""
    gone = delete(Passkeys).where(Passkeys.id == key_id, Passkeys.person_id == person_id)
    if await db.scalar(gone.returning(Passkeys.id)) is None:
        raise NotFound


async def forget(db: AsyncSession, person_id: UUID) -> None:
    """Forget every key of the person."""
    await db.execute(delete(Passkeys).where(Passkeys.person_id == person_id))


async def _ids(db: AsyncSession, person_id: UUID) -> list[bytes]:
    query = select(Passkeys.credential_id).where(Passkeys.person_id == person_id)
    return list((await db.scalars(query.order_by(Passkeys.id))).all())


async def _challenge(
    db: AsyncSession, purpose: Purpose, person_id: UUID | None, origin: str, now: datetime
) -> bytes:
    await db.execute(delete(PasskeyChallenges).where(PasskeyChallenges.expires_at < now))
    challenge = secrets.token_bytes(32)
    db.add(
        PasskeyChallenges(
            challenge=challenge,
            purpose=purpose.value,
            person_id=person_id,
            origin=origin,
            expires_at=now + LIFE,
        )
    )
    await db.flush()
    return challenge


class _Asked(msgspec.Struct, frozen=True):
    challenge: bytes
    origin: str


async def _asked(
    db: AsyncSession, client_data: bytes, purpose: Purpose, person_id: UUID | None, now: datetime
) -> _Asked:
    """Use up the challenge that the browser says it answers."""
    try:
        challenge = parse_client_data_json(client_data).challenge
    except Exception as error:  # a parser of bytes from outside: whatever it stumbles over
        raise PasskeyRefused from error
    used = (
        delete(PasskeyChallenges)
        .where(
            PasskeyChallenges.challenge == challenge,
            PasskeyChallenges.purpose == purpose.value,
            PasskeyChallenges.person_id.is_not_distinct_from(person_id),
            PasskeyChallenges.expires_at > now,
        )
        .returning(PasskeyChallenges.origin)
    )
    origin = await db.scalar(used)
    if origin is None:
        raise PasskeyRefused
    return _Asked(challenge, origin)


def _rp(origin: str) -> str:
    """The relying party of a page: its host name."""
    return urlsplit(origin).hostname or ""
