"""The first administrator: nobody is there by default, so a one-time code lets the first one in.

The operator asks for it on the machine (`yanasha first-administrator`), while nobody administers
anything; the page behind it makes an organisation, a person and a password of their own choosing.
"""

import secrets
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import throttle
from people.audit import acted
from people.device_tokens import token_hash
from people.organisations import OrganisationKind, Organisations
from people.passwords import check_password, set_password
from people.persons import Language, Persons
from people.policy import Kind, Right, Thing
from people.refused import FieldError, Refused
from people.relations import Relations, grant
from people.second_factors import SignedInAs, open_session
from storage.engine import Base, new_id

LIFE = timedelta(hours=1)
# By which the page knows what kind of code its address carries.
PREFIX = "first-"
_ONE_AT_A_TIME = 0x59_41_4E_31  # pg_advisory_xact_lock

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class FirstCodes(Base):
    """A code that was printed and not used."""

    __tablename__ = "first_codes"

    sha256: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]


class FirstAdministrator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code, the first organisation, and who will administer it."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    organisation_name: Name
    organisation_kind: OrganisationKind
    given_name: Name
    family_name: Name
    login: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    language: Language = "ru"


class AdministratorThere(Refused):
    """Somebody administers an organisation already, and can add the others."""

    status = 409
    code = "administrator_there"


class FirstCodeRefused(Refused):
    """No such code, or used, or too late. The try counts."""

    status = 404
    code = "code_refused"
    keeps_writes = True


class NameEmpty(Refused):
    """Nothing but blanks where a name is asked for."""

    status = 422
    code = "name_empty"


async def offer(db: AsyncSession, now: datetime) -> str:
    """Make the code; one made before is worth nothing any more. Raises AdministratorThere."""
    await _nobody_yet(db)
    await db.execute(delete(FirstCodes))
    code = PREFIX + secrets.token_urlsafe(24)
    db.add(FirstCodes(sha256=token_hash(code), expires_at=now + LIFE))
    await db.flush()
    return code


async def begin(
    db: AsyncSession, new: FirstAdministrator, network: str, now: datetime, *, required: bool
) -> SignedInAs:
    """Make the organisation and its administrator, and sign them in.

    Raises FirstCodeRefused, TooManyAttempts, AdministratorThere, NameEmpty, WeakPassword.
    """
    prefix = throttle.network_prefix(network)
    attempt = await throttle.begin(db, None, prefix, now)
    live = select(FirstCodes.sha256).where(
        FirstCodes.sha256 == token_hash(new.code), FirstCodes.expires_at > now
    )
    if await db.scalar(live.with_for_update()) is None:
        await throttle.failed(db, attempt, now)
        raise FirstCodeRefused
    await _nobody_yet(db)
    _check(new)
    await db.execute(delete(FirstCodes))
    person_id = await _make(db, new, now)
    await acted(db, person_id, "first_administrator", Thing(subject_id=person_id), now)
    return await open_session(db, person_id, prefix, now, method="first_code", required=required)


async def _make(db: AsyncSession, new: FirstAdministrator, now: datetime) -> UUID:
    organisation_id, person_id = new_id(), new_id()
    kind, name = new.organisation_kind.value, new.organisation_name.strip()
    db.add(Organisations(id=organisation_id, kind=kind, name=name))
    db.add(
        Persons(
            id=person_id,
            family_name=new.family_name.strip(),
            given_name=new.given_name.strip(),
            language=new.language,
            created_at=now,
        )
    )
    await db.flush()
    await set_password(db, person_id, new.login, new.password, now)
    right = Right(
        actor_id=person_id, kind=Kind.ADMINISTRATION, organisation_id=organisation_id, since=now
    )
    await grant(db, right, "first_code")
    return person_id


async def _nobody_yet(db: AsyncSession) -> None:
    """Two codes at once stand in line; whoever comes second finds the first one's administrator."""
    await db.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
    there = select(Relations.id).where(Relations.kind == Kind.ADMINISTRATION.value)
    if await db.scalar(there.limit(1)) is not None:
        raise AdministratorThere


def _check(new: FirstAdministrator) -> None:
    for field in ("organisation_name", "given_name", "family_name", "login"):
        if not getattr(new, field).strip():
            raise NameEmpty((FieldError(field, NameEmpty.code),))
    words = (new.login, new.given_name, new.family_name, new.organisation_name)
    check_password("password", new.password, words)
