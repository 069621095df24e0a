"""Persons: one row per human being, whatever hats they wear."""

from datetime import date, datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people.organisations import OrganisationKind, Organisations
from people.policy import Act, Actor, Kind, Thing, require
from people.refused import NotFound
from people.relations import Relations
from storage.engine import Base, new_id

Language = Literal["ru", "tt", "en"]


class Persons(Base):
    """A person. The language is the one the UI and the documents speak to them."""

    __tablename__ = "persons"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    family_name: Mapped[str]
    given_name: Mapped[str]
    language: Mapped[str] = mapped_column(server_default="ru")
    # The age steps of a child follow from it; without it a person counts as grown up.
    born_on: Mapped[date | None]
    created_at: Mapped[datetime]


class RoleName(StrEnum):
    """Hats, read off the relations; a right is never decided by them."""

    DOCTOR = "doctor"
    PATIENT = "patient"
    TEACHER = "teacher"
    PUPIL = "pupil"
    PARENT = "parent"
    ADMINISTRATOR = "administrator"
    CLERK = "clerk"


class Role(msgspec.Struct, frozen=True):
    """One hat, and where it is worn."""

    role: RoleName
    organisation_id: UUID | None
    organisation_name: str | None
    organisation_kind: OrganisationKind | None = None


class Me(msgspec.Struct, frozen=True):
    """The signed-in person, as their own screens need it."""

    id: UUID
    name: str
    family_name: str
    given_name: str
    language: Language
    roles: list[Role]
    staff: bool
    # This session can make a second factor and nothing else.
    enrolment_needed: bool = False


class MyChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a person may change of themselves."""

    language: Language


STAFF = frozenset({RoleName.DOCTOR, RoleName.TEACHER, RoleName.ADMINISTRATOR, RoleName.CLERK})


def full_name(given_name: str, family_name: str) -> str:
    """Name as shown on screens."""
    return f"{given_name} {family_name}"


async def me(db: AsyncSession, person_id: UUID, now: datetime) -> Me:
    """Give the person with every hat worn at `now`. Raises NotFound."""
    person = await db.get(Persons, person_id)
    if person is None:
        raise NotFound
    query = (
        select(Relations.kind, Organisations.kind, Organisations.id, Organisations.name)
        .outerjoin(Organisations, Organisations.id == Relations.organisation_id)
        .where(Relations.actor_id == person_id, Relations.live(now))
        .order_by(Organisations.name, Relations.kind)
    )
    found = (
        (_role(Kind(kind), where), organisation_id, name, where)
        for kind, where, organisation_id, name in (await db.execute(query)).all()
    )
    # A dict keeps the order and drops repeats: a parent of two is a parent once.
    roles = list(dict.fromkeys(Role(r, o, n, _place(k)) for r, o, n, k in found if r is not None))
    return Me(
        id=person.id,
        name=full_name(person.given_name, person.family_name),
        family_name=person.family_name,
        given_name=person.given_name,
        language=msgspec.convert(person.language, Language),
        roles=roles,
        staff=any(role.role in STAFF for role in roles),
    )


async def update_me(
    db: AsyncSession, actor: Actor, person_id: UUID, changes: MyChanges, now: datetime
) -> Me:
    """Change the person's own settings."""
    require(actor, Act.ACCOUNT, Thing(subject_id=person_id), now)
    person = await db.get(Persons, person_id)
    if person is None:
        raise NotFound
    person.language = changes.language
    await db.flush()
    return await me(db, person_id, now)


_ROLES = {
    Kind.ADMINISTRATION: RoleName.ADMINISTRATOR,
    Kind.CLERKSHIP: RoleName.CLERK,
    Kind.ATTACHMENT: RoleName.PATIENT,
    Kind.GUARDIANSHIP: RoleName.PARENT,
    Kind.CLASS: RoleName.PUPIL,
}


def _place(kind: str | None) -> OrganisationKind | None:
    return None if kind is None else OrganisationKind(kind)


def _role(kind: Kind, where: str | None) -> RoleName | None:
    if kind is Kind.DUTY:
        return RoleName.DOCTOR if where == OrganisationKind.CLINIC else RoleName.TEACHER
    return _ROLES.get(kind)
