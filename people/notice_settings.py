"""Where and when a person wants to be told: addresses, browsers, quiet hours.

An address or a number is used only after its owner typed the code that was sent to it: otherwise
anybody could have strangers written to. Nothing of a code is stored: it follows from the row and
a secret of the installation.
"""

import hashlib
import hmac
import re
from base64 import urlsafe_b64decode
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import delete, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people.notice_targets import NoticeSettings, NoticeTargets, NoticeWay, oneself, quiet_hours_of
from people.policy import Actor
from people.quiet_hours import zone_or_none
from people.refused import FieldError, NotFound, Refused
from storage.engine import new_id
from storage.jobs import enqueue

SEND_CODE = "people.send_notice_code"
CODE_LIVES = timedelta(minutes=30)
CODE_TRIES = 5
ASK_AGAIN_AFTER = timedelta(minutes=2)
BROWSERS = 10  # a person's, the oldest go first
_CODE_DIGITS = 6
_AUTH_BYTES = 16
_URL_MAX = 1000
_MAIL_MAX = 254
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
# No quotes, no comments, no control characters: what people have, and nothing a header could
# be made of.
_MAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
_NUMBER = re.compile(r"\+[1-9]\d{7,14}")


class NoticeTarget(msgspec.Struct, frozen=True):
    """An address, number or browser, as its owner's screen shows it."""

    id: UUID
    way: NoticeWay
    address: str  # of a browser the host of its push service, never the secret address
    confirmed: bool
    active: bool
    told_at: datetime | None


class NoticeWays(msgspec.Struct, frozen=True):
    """Where and when a person is told; times are HH:MM of `timezone`."""

    targets: list[NoticeTarget]
    quiet_from: str
    quiet_until: str
    timezone: str


class QuietChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """New quiet hours, HH:MM; equal ends mean none."""

    quiet_from: str
    quiet_until: str
    timezone: str | None = None


class NewAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An address for mail, or a number for SMS."""

    address: str


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that came to the address."""

    code: str


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether a way is used."""

    active: bool


class NewBrowser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a browser gives when its person allows push: base64url, as browsers write it."""

    endpoint: str
    p256dh: str
    auth: str


class BadAddress(Refused):
    """No address, number or browser that anything could be sent to; the field is named."""

    status = 422
    code = "bad_address"

    def __init__(self, field: str) -> None:
        super().__init__((FieldError(field, self.code),))


class BadTime(Refused):
    """No time of day, or no time zone; the field is named."""

    status = 422
    code = "bad_time"

    def __init__(self, field: str) -> None:
        super().__init__((FieldError(field, self.code),))


class AskedTooSoon(Refused):
    """A code was sent a moment ago; `params["retry_after_s"]` goes to Retry-After."""

    status = 429
    code = "asked_too_soon"


class WrongCode(Refused):
    """Not the code that was sent, or too late, or tried too often. The try counts."""

    status = 422
    code = "wrong_code"
    keeps_writes = True


async def ways(db: AsyncSession, actor: Actor, now: datetime) -> NoticeWays:
    """Give where and when the person is told."""
    person_id = oneself(actor, now)
    query = (
        select(NoticeTargets)
        .where(NoticeTargets.person_id == person_id, NoticeTargets.address != "")
        .order_by(NoticeTargets.way, NoticeTargets.made_at, NoticeTargets.id)
    )
    quiet = await quiet_hours_of(db, person_id, now)
    return NoticeWays(
        targets=[_target(row) for row in (await db.scalars(query)).all()],
        quiet_from=_clock(quiet.from_minute),
        quiet_until=_clock(quiet.until_minute),
        timezone=quiet.zone.key,
    )


async def set_quiet(
    db: AsyncSession, actor: Actor, changes: QuietChanges, now: datetime
) -> NoticeWays:
    """Change the person's quiet hours. Raises BadTime naming the field."""
    person_id = oneself(actor, now)
    if changes.timezone is not None and zone_or_none(changes.timezone) is None:
        raise BadTime("timezone")
    values = {
        "quiet_from": _minute("quiet_from", changes.quiet_from),
        "quiet_until": _minute("quiet_until", changes.quiet_until),
        "timezone": changes.timezone,
    }
    await db.execute(
        insert(NoticeSettings)
        .values(person_id=person_id, **values)
        .on_conflict_do_update(index_elements=["person_id"], set_=values)
        .execution_options(populate_existing=True)
    )
    return await ways(db, actor, now)


async def set_address(
    db: AsyncSession, actor: Actor, way: NoticeWay, new: NewAddress, now: datetime
) -> NoticeTarget:
    """Name an address or number; a code is sent to it, and it is used once that is typed.

    Raises BadAddress, AskedTooSoon.
    """
    person_id = oneself(actor, now)
    address = _address(way, new.address)
    row = await db.scalar(
        select(NoticeTargets)
        .where(NoticeTargets.person_id == person_id, NoticeTargets.way == way.value)
        .with_for_update()
    )
    if row is None:
        row = NoticeTargets(id=new_id(), person_id=person_id, way=way.value, made_at=now)
        db.add(row)
    elif now < row.asked_at + ASK_AGAIN_AFTER:
        left = row.asked_at + ASK_AGAIN_AFTER - now
        raise AskedTooSoon(retry_after_s=int(left.total_seconds()) + 1)
    row.address, row.asked_at, row.tries = address, now, 0
    row.confirmed_at, row.active = None, True
    await db.flush()
    await enqueue(db, SEND_CODE, once=f"{row.id}?", target_id=row.id)
    return _target(row)


async def confirm(
    db: AsyncSession,
    actor: Actor,
    target_id: UUID,
    confirmation: Confirmation,
    now: datetime,
    *,
    key: bytes,
) -> NoticeTarget:
    """Use an address from now on, as its owner has the code. Raises NotFound, WrongCode."""
    person_id = oneself(actor, now)
    row = await _own(db, person_id, target_id)
    if row.confirmed_at is not None:
        return _target(row)
    typed = "".join(confirmation.code.split())
    row.tries += 1
    await db.flush()
    in_time = now < row.asked_at + CODE_LIVES and row.tries <= CODE_TRIES
    right = hmac.compare_digest(typed.encode(), code_for(row, key).encode())
    if not (in_time and right):
        raise WrongCode
    row.confirmed_at = now
    await db.flush()
    return _target(row)


async def switch(
    db: AsyncSession, actor: Actor, target_id: UUID, how: Switch, now: datetime
) -> NoticeTarget:
    """Use a way, or leave it unused without forgetting it. Raises NotFound."""
    person_id = oneself(actor, now)
    row = await _own(db, person_id, target_id)
    row.active = how.active
    await db.flush()
    return _target(row)


async def remove(db: AsyncSession, actor: Actor, target_id: UUID, now: datetime) -> None:
    """Forget an address, number or browser. Raises NotFound."""
    person_id = oneself(actor, now)
    row = await _own(db, person_id, target_id)
    if row.way == NoticeWay.PUSH:
        await db.delete(row)
    else:
        # Its row stays, empty: when the last code was asked for must not be forgotten with it.
        row.address, row.confirmed_at = "", None
    await db.flush()


async def add_browser(
    db: AsyncSession, actor: Actor, new: NewBrowser, now: datetime
) -> NoticeTarget:
    """Take a browser that allows push; the same browser of another person changes hands.

    Whoever holds the endpoint sits at that browser, and push says nothing of anybody. Raises
    BadAddress naming the field.
    """
    person_id = oneself(actor, now)
    values = {
        "person_id": person_id,
        "p256dh": _point(new.p256dh),
        "auth": _bytes("auth", new.auth, _AUTH_BYTES),
        "active": True,
        "made_at": now,
        "asked_at": now,
        "confirmed_at": now,
        "told_at": None,
    }
    endpoint = _endpoint(new.endpoint)
    await db.execute(
        insert(NoticeTargets)
        .values(id=new_id(), way=NoticeWay.PUSH.value, address=endpoint, **values)
        .on_conflict_do_update(
            index_elements=["address"],
            # As text: a parameter would not be known for the index's own condition.
            index_where=text("way = 'push'"),
            set_=values,
        )
    )
    own = (NoticeTargets.person_id == person_id) & (NoticeTargets.way == NoticeWay.PUSH.value)
    newest = (
        select(NoticeTargets.id)
        .where(own)
        .order_by(NoticeTargets.made_at.desc(), NoticeTargets.id.desc())
        .limit(BROWSERS)
    )
    await db.execute(
        delete(NoticeTargets)
        .where(own, NoticeTargets.id.not_in(newest))
        .execution_options(synchronize_session=False)
    )
    row = await db.scalar(
        select(NoticeTargets)
        .where(own, NoticeTargets.address == endpoint)
        .execution_options(populate_existing=True)
    )
    if row is None:  # ten newer ones at this very moment
        raise NotFound
    return _target(row)


def code_for(row: NoticeTargets, key: bytes) -> str:
    """Give the code that proves an address: of this row, this address and this asking only."""
    said = f"{row.id} {row.address} {row.asked_at.timestamp():.6f}"
    digest = hmac.digest(key, said.encode(), hashlib.sha256)
    return f"{int.from_bytes(digest[:8]) % 10**_CODE_DIGITS:0{_CODE_DIGITS}}"


async def _own(db: AsyncSession, person_id: UUID, target_id: UUID) -> NoticeTargets:
    row = await db.scalar(
        select(NoticeTargets)
        .where(
            NoticeTargets.id == target_id,
            NoticeTargets.person_id == person_id,
            func.length(NoticeTargets.address) > 0,
        )
        .with_for_update()
    )
    if row is None:
        raise NotFound
    return row


def _target(row: NoticeTargets) -> NoticeTarget:
    push = row.way == NoticeWay.PUSH
    return NoticeTarget(
        id=row.id,
        way=NoticeWay(row.way),
        address=(urlsplit(row.address).hostname or "") if push else row.address,
        confirmed=row.confirmed_at is not None,
        active=row.active,
        told_at=row.told_at,
    )


def _address(way: NoticeWay, typed: str) -> str:
    if way is NoticeWay.MAIL:
        given = typed.strip()
        if len(given) > _MAIL_MAX or not _MAIL.fullmatch(given) or ".." in given:
            raise BadAddress("address")
        return given
    number = re.sub(r"[\s()-]", "", typed)
    if way is not NoticeWay.SMS or not _NUMBER.fullmatch(number):
        raise BadAddress("address")
    return number


def _endpoint(given: str) -> str:
    """An https address on the usual port; where it leads is judged when it is called."""
    try:
        url = urlsplit(given)
        port = url.port
    except ValueError:
        raise BadAddress("endpoint") from None
    plain = given.isascii() and given.isprintable() and " " not in given
    short = len(given) <= _URL_MAX
    fits = url.scheme == "https" and url.hostname and port in {None, 443}
    if not (plain and short and fits) or url.username is not None or url.fragment:
        raise BadAddress("endpoint")
    return given


def _point(given: str) -> bytes:
    raw = _bytes("p256dh", given, 65)
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    except ValueError:
        raise BadAddress("p256dh") from None
    return raw


def _bytes(field: str, given: str, length: int) -> bytes:
    try:
        raw = urlsafe_b64decode(given.encode("ascii") + b"=" * (-len(given) % 4))
    except ValueError:
        raise BadAddress(field) from None
    if len(raw) != length:
        raise BadAddress(field)
    return raw


def _minute(field: str, given: str) -> int:
    found = _TIME.fullmatch(given)
    if found is None:
        raise BadTime(field)
    return int(found[1]) * 60 + int(found[2])


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
