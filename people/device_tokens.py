"""Home devices and their tokens: one secret per device, write-only, revocable.

The store holds the SHA-256 of a token. A token of 256 random bits needs no slow hash.
"""

import hashlib
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import msgspec
from sqlalchemy import ForeignKey, Index, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.facts import DeviceRevoked, emit
from people.persons import Persons
from people.policy import Act, Actor, Kind, Right, Thing, require
from people.refused import FieldError, NotFound, NotSignedIn, Refused
from people.relations import Relations
from storage.engine import Base, new_id

MANUAL = "manual"  # readings typed in by hand; one such row per person, without a token
FILE = "file"  # the name of a hand that brought a file
DESK = "desk"  # the name of a nurse's hand at a desk
MOST_DEVICES = 50  # of one person, whose tokens hold
ECG = "ecg"  # the kind of measurement that is not a reading but a stream
_HANDS = UUID("6b0f7a52-54ab-5c1c-9d0e-3f7b1f6c2d11")
_SEEN_EVERY = timedelta(seconds=30)
# Of many devices at once: a row that somebody holds is left for the next time, or all would wait.
_SEEN = text("""
    UPDATE devices SET last_seen_at = :now
    FROM (
        SELECT id FROM devices WHERE id = ANY(:ids ::uuid[]) FOR NO KEY UPDATE SKIP LOCKED
    ) AS seen WHERE devices.id = seen.id
""")
_ALIVE = text("SELECT id FROM devices WHERE id = ANY(:ids ::uuid[]) AND revoked_at IS NULL")


class Devices(Base):
    """A device measures for one person; what it sends belongs to that person."""

    __tablename__ = "devices"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    person_id: Mapped[UUID] = mapped_column(ForeignKey("persons.id"))
    kind: Mapped[str]
    name: Mapped[str]
    kinds: Mapped[list[str]]
    token_sha256: Mapped[bytes | None] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "person_id"),)


class BadDeviceName(Refused):
    """A device needs a name of its own: not a blank one, nor one that readings by hand go by."""

    status = 422
    code = "bad_device_name"


class TooManyDevices(Refused):
    """More devices than a household has; the ones nobody uses can be removed."""

    status = 409
    code = "too_many_devices"


class Device(msgspec.Struct, frozen=True):
    """A device in the list of its person."""

    id: UUID
    name: str
    kinds: list[str]
    last_seen_at: datetime | None


class NewDevice(msgspec.Struct, frozen=True):
    """A device to be registered."""

    name: str
    kind: str
    kinds: list[str]


class KnownDevice(msgspec.Struct, frozen=True):
    """The device behind a token, or the hand of a person: what writing verbs ask for."""

    id: UUID
    person_id: UUID
    name: str
    kinds: tuple[str, ...]
    since: datetime
    organisation_id: UUID | None = None  # where its person is a patient; a hand is not asked

    @property
    def lane(self) -> tuple[UUID, int]:
        """Whose readings wait for each other: half of an organisation's people, or this person.

        Two halves keep database and process busy at once. A person's rows are in one of them only.
        """
        return self.organisation_id or self.person_id, self.person_id.int % 2

    @property
    def actor(self) -> Actor:
        """The device as an actor; its row in `devices` is its relation to the person."""
        right = Right(
            actor_id=self.id, kind=Kind.DEVICE, subject_id=self.person_id, since=self.since
        )
        return Actor(self.id, (right,))


async def add_device(
    db: AsyncSession, actor: Actor, person_id: UUID, new: NewDevice, now: datetime
) -> tuple[KnownDevice, str]:
    """Register a device of the person; its token is given this once and never again.

    Raises BadDeviceName, TooManyDevices.
    """
    require(actor, Act.OWN_DEVICES, Thing(subject_id=person_id), now)
    name = _own_name(new.name)
    one_at_a_time = select(Persons.id).where(Persons.id == person_id)
    await db.execute(one_at_a_time.with_for_update(key_share=True))
    alive = select(func.count()).where(
        Devices.person_id == person_id,
        Devices.token_sha256.is_not(None),
        Devices.revoked_at.is_(None),
    )
    if (await db.scalar(alive) or 0) >= MOST_DEVICES:
        raise TooManyDevices(most=MOST_DEVICES)
    token = secrets.token_urlsafe(32)
    row = Devices(
        id=new_id(),
        person_id=person_id,
        kind=new.kind,
        name=name,
        kinds=new.kinds,
        token_sha256=token_hash(token),
        created_at=now,
    )
    db.add(row)
    await db.flush()
    about = Thing(subject_id=person_id, about=(row.id,))
    await audit.acted(db, actor.id, "device_added", about, now)
    return _known(row), token


def _own_name(said: str) -> str:
    """The name as it is kept. Raises BadDeviceName."""
    name = " ".join(said.split())
    seen = any(letter.isprintable() and not letter.isspace() for letter in name)
    if not seen or name.casefold() in {MANUAL, FILE, DESK}:
        raise BadDeviceName((FieldError("name", BadDeviceName.code),))
    return name


async def device_of(db: AsyncSession, token: str, now: datetime) -> KnownDevice:
    """Give the device of a token. Raises NotSignedIn for an unknown or revoked one."""
    key = token_hash(token)
    found = await devices_of(db, [key], now)
    if key not in found:
        raise NotSignedIn
    return found[key]


async def devices_of(
    db: AsyncSession, hashes: Collection[bytes], now: datetime
) -> dict[bytes, KnownDevice]:
    """Give the devices behind tokens by their hashes, without unknown and revoked ones."""
    patient_of = (
        select(Relations.organisation_id)
        .where(
            Relations.actor_id == Devices.person_id,
            Relations.kind == Kind.ATTACHMENT.value,
            Relations.live(now),
        )
        .order_by(Relations.since, Relations.id)
        .limit(1)
        .scalar_subquery()
    )
    query = select(Devices, patient_of).where(
        Devices.token_sha256.in_(hashes), Devices.revoked_at.is_(None)
    )
    known: dict[bytes, KnownDevice] = {}
    seen: list[UUID] = []
    for row, organisation_id in (await db.execute(query)).all():
        if row.token_sha256 is not None:
            known[row.token_sha256] = _known(row, organisation_id)
        if row.last_seen_at is None or now - row.last_seen_at > _SEEN_EVERY:
            seen.append(row.id)
    if seen:
        await db.execute(_SEEN, {"ids": seen, "now": now})
    return known


async def device_alive(db: AsyncSession, device_id: UUID) -> bool:
    """Say whether the device's token still holds; a socket asks again and again."""
    query = select(Devices.id).where(Devices.id == device_id, Devices.revoked_at.is_(None))
    return await db.scalar(query) is not None


async def alive_among(db: AsyncSession, device_ids: Collection[UUID]) -> set[UUID]:
    """Give those of the devices whose tokens still hold: for who knows them from a while ago."""
    if not device_ids:
        return set()
    return set((await db.scalars(_ALIVE, {"ids": list(device_ids)})).all())


def hand_of(
    person_id: UUID, kinds: tuple[str, ...], now: datetime, *, name: str = MANUAL
) -> KnownDevice:
    """Give the hand of the person, which measures whatever the person types in, or brings.

    Its id follows from the person, so that nobody has to look it up; `store_hands` writes its row.
    """
    what = person_id.hex if name == MANUAL else f"{person_id.hex} {name}"
    return KnownDevice(uuid5(_HANDS, what), person_id, name, kinds, now)


async def store_hands(db: AsyncSession, hands: Iterable[KnownDevice]) -> None:
    """Make the rows of hands at their first reading; those that are there stay as they are."""
    values = [
        {
            "id": hand.id,
            "person_id": hand.person_id,
            "kind": MANUAL,
            "name": hand.name,
            "kinds": list(hand.kinds),
            "created_at": hand.since,
        }
        for hand in sorted(hands, key=lambda hand: hand.id)
    ]
    if values:
        await db.execute(insert(Devices).values(values).on_conflict_do_nothing())


async def list_devices(
    db: AsyncSession, actor: Actor, person_id: UUID, now: datetime
) -> list[Device]:
    """Give the person's devices whose tokens hold."""
    require(actor, Act.OWN_DEVICES, Thing(subject_id=person_id), now)
    query = (
        select(Devices)
        .where(Devices.person_id == person_id, Devices.revoked_at.is_(None), Devices.kind != MANUAL)
        .order_by(Devices.name, Devices.id)
    )
    return [
        Device(row.id, row.name, list(row.kinds), row.last_seen_at)
        for row in (await db.scalars(query)).all()
    ]


async def revoke_device(db: AsyncSession, actor: Actor, device_id: UUID, now: datetime) -> None:
    """End a device's token for good. Raises NotFound for a device that is not the actor's own."""
    query = (
        update(Devices)
        .where(
            Devices.id == device_id,
            Devices.person_id == actor.id,
            Devices.revoked_at.is_(None),
            Devices.kind != MANUAL,
        )
        .values(revoked_at=now)
        .returning(Devices.person_id)
    )
    person_id = await db.scalar(query)
    if person_id is None:
        raise NotFound
    about = Thing(subject_id=person_id, about=(device_id,))
    require(actor, Act.OWN_DEVICES, about, now)
    await audit.acted(db, actor.id, "device_revoked", about, now)
    emit(db, DeviceRevoked(at=now, person_id=person_id, device_id=device_id))


def token_hash(token: str) -> bytes:
    """SHA-256 of an opaque token: what the store holds of it."""
    return hashlib.sha256(token.encode()).digest()


def _known(row: Devices, organisation_id: UUID | None = None) -> KnownDevice:
    kinds = tuple(row.kinds)
    return KnownDevice(row.id, row.person_id, row.name, kinds, row.created_at, organisation_id)
