"""Keys that organisations sign documents with: Ed25519, one at a time, made at first use.

The private half lies sealed under the installation's secret `signing-keys`, so the database alone
signs nothing. Public halves are for everybody; a retired one still verifies what it signed. Of one
that somebody else may hold since a time, what was signed from then on is not trusted any more: the
register knows what was signed before, whatever date a paper gives itself.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec
from sqlalchemy import ForeignKey, Index, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from people import audit
from people.organisations import Organisations, Ref
from people.policy import Thing
from storage import sealing, signing
from storage.engine import Base
from storage.secrets import secret

_SEED_BYTES = 32


class OrganisationKeys(Base):
    """One key pair of an organisation."""

    __tablename__ = "organisation_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("organisations.id"))
    public: Mapped[bytes]
    sealed: Mapped[bytes]
    made_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]
    # Since when somebody else may have signed with it.
    compromised_since: Mapped[datetime | None]

    __table_args__ = (
        Index(
            "ux_organisation_keys_current",
            "organisation_id",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """What anybody needs to verify an organisation's documents without asking us."""

    id: str
    organisation: Ref
    public: str  # 32 raw bytes, base64url
    pem: str
    made_at: datetime
    retired_at: datetime | None
    compromised_since: datetime | None


class Retired(msgspec.Struct, frozen=True):
    """A key that signs no more, when it did, and the one that signs now."""

    key: str
    made_at: datetime
    retired_at: datetime
    compromised_since: datetime | None
    current: str


class KeyUnknown(Exception):  # noqa: N818 - states a fact
    """The organisation has no such key."""


async def seed_of(db: AsyncSession, home: Path, organisation_id: UUID, now: datetime) -> bytes:
    """Give the private half of the organisation's key, made at first use.

    Until the transaction ends it is not retired: what is being signed is signed before that. Raises
    UnsafeSecret, CannotOpen.
    """
    current = (
        select(OrganisationKeys)
        .where(
            OrganisationKeys.organisation_id == organisation_id,
            OrganisationKeys.retired_at.is_(None),
        )
        .with_for_update(read=True)
    )
    row = await db.scalar(current)
    if row is None:
        await _make(db, home, organisation_id, now)
        row = (await db.scalars(current)).one()
    return sealing.unseal(_sealer(home), row.sealed, _about(organisation_id, row.id))


async def public_keys(db: AsyncSession) -> list[PublicKey]:
    """Give every key that documents here were ever signed with."""
    query = (
        select(OrganisationKeys, Organisations.name)
        .join(Organisations, Organisations.id == OrganisationKeys.organisation_id)
        .order_by(Organisations.name, OrganisationKeys.made_at)
    )
    return [
        PublicKey(
            id=row.id,
            organisation=Ref(row.organisation_id, name),
            public=signing.b64(row.public),
            pem=signing.pem(row.public, row.compromised_since),
            made_at=row.made_at,
            retired_at=row.retired_at,
            compromised_since=row.compromised_since,
        )
        for row, name in (await db.execute(query)).all()
    ]


async def raw_keys(db: AsyncSession) -> list[bytes]:
    """Give the raw public keys."""
    return list(await db.scalars(select(OrganisationKeys.public)))


async def doubted_keys(db: AsyncSession) -> dict[str, datetime]:
    """Since when somebody else may have signed with a key, of every key of which that is so."""
    query = select(OrganisationKeys.id, OrganisationKeys.compromised_since).where(
        OrganisationKeys.compromised_since.is_not(None)
    )
    return {key: since for key, since in await db.execute(query) if since is not None}


def doubtful(doubted: Mapping[str, datetime], key: str, signed_at: datetime | None) -> bool:
    """Whether somebody else may have held this key when the register took what it signed.

    Not by the date on the paper: whoever holds the key writes any.
    """
    since = doubted.get(key)
    return since is not None and (signed_at is None or signed_at >= since)


async def retire(
    db: AsyncSession,
    home: Path,
    organisation_id: UUID,
    now: datetime,
    *,
    key_id: str | None = None,
    since: datetime | None = None,
) -> Retired:
    """Sign with a new key from now on; `since`: somebody else may hold the old one since then.

    `key_id` names one that may be retired already; else it is the one that signs now. An earlier
    `since` that was said before stands. For the operator alone. Raises KeyUnknown, UnsafeSecret.
    """
    which = OrganisationKeys.id == key_id if key_id else OrganisationKeys.retired_at.is_(None)
    query = select(OrganisationKeys).where(
        OrganisationKeys.organisation_id == organisation_id, which
    )
    row = await db.scalar(query.with_for_update())
    if row is None:
        raise KeyUnknown
    if since is not None:
        row.compromised_since = min(since, row.compromised_since or since)
    if row.retired_at is None:
        row.retired_at = now
        await db.flush()
        await _make(db, home, organisation_id, now)
    current = select(OrganisationKeys.id).where(
        OrganisationKeys.organisation_id == organisation_id, OrganisationKeys.retired_at.is_(None)
    )
    details = {"key": row.id} | ({"reason": "compromised"} if since else {})
    place = Thing(organisation_id=organisation_id)
    await audit.acted(db, None, "signing_key_retired", place, now, details=details)
    return Retired(
        row.id,
        row.made_at,
        row.retired_at,
        row.compromised_since,
        (await db.scalars(current)).one(),
    )


async def _make(db: AsyncSession, home: Path, organisation_id: UUID, now: datetime) -> None:
    new = insert(OrganisationKeys).values(_made(home, organisation_id, now))
    await db.execute(new.on_conflict_do_nothing())


def _made(home: Path, organisation_id: UUID, now: datetime) -> dict[str, object]:
    seed = secrets.token_bytes(_SEED_BYTES)
    public = signing.public_of(seed)
    name = signing.key_id(public)
    return {
        "id": name,
        "organisation_id": organisation_id,
        "public": public,
        "sealed": sealing.seal(_sealer(home), seed, _about(organisation_id, name)),
        "made_at": now,
    }


def _sealer(home: Path) -> bytes:
    return secret(home, "signing-keys")


def _about(organisation_id: UUID, name: str) -> bytes:
    return f"organisation_keys.sealed:{organisation_id}:{name}".encode()
