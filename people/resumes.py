"""The way back into a socket that was lost: a token signed by this house.

It names a session, a thing and the page's own id, lives three minutes, and is renewed while the
socket lives. It may be shown more than once, and is worth nothing alone: the browser must bring the
cookie of the same session, and the session and its rights are looked at anew each time.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from people.refused import NotSignedIn
from people.sessions import Caller, Sessions, session_person
from people.tickets import BadWayIn

LIFE = timedelta(minutes=3)
_FOR = b"yanasha resume 1\0"  # signatures made for anything else are none here


class _Promise(msgspec.Struct, frozen=True, array_like=True):
    session_id: UUID
    about_id: UUID
    tab: UUID
    until_s: float


def promise(key: bytes, caller: Caller, about_id: UUID, tab: UUID, now: datetime) -> str:
    """Give the page's session a way back to one thing."""
    until_s = (now + LIFE).timestamp()
    said = msgspec.msgpack.encode(_Promise(caller.session_id, about_id, tab, until_s))
    return urlsafe_b64encode(said + _sign(key, said)).decode()


class Shown(msgspec.Struct, frozen=True):
    """What a page that comes back shows: its token, and the cookie that its browser brought."""

    token: str
    cookie: str
    about_id: UUID
    tab: UUID


async def resume(db: AsyncSession, key: bytes, shown: Shown, now: datetime) -> Caller:
    """Give who comes back. Raises NotSignedIn; BadWayIn when it is known who tried."""
    promised = _read(key, shown.token)
    try:
        caller = await session_person(db, shown.cookie, now, quietly=True)
    except NotSignedIn:
        # One that ran out names nobody: rows of the audit are not for who is not signed in.
        fresh = promised is not None and promised.until_s > now.timestamp()
        whose = await db.get(Sessions, promised.session_id) if promised and fresh else None
        if whose is not None:
            raise BadWayIn(whose.person_id, "without its session") from None
        raise
    if promised is None:
        raise BadWayIn(caller.person_id, "edited")
    if promised.session_id != caller.session_id:
        raise BadWayIn(caller.person_id, "foreign session")
    if (promised.about_id, promised.tab) != (shown.about_id, shown.tab):
        raise BadWayIn(caller.person_id, "for something else")
    if promised.until_s <= now.timestamp():
        raise BadWayIn(caller.person_id, "expired")
    return caller


def _read(key: bytes, token: str) -> _Promise | None:
    try:
        whole = urlsafe_b64decode(token)
        said, signature = whole[:-32], whole[-32:]
        if not hmac.compare_digest(signature, _sign(key, said)):
            return None
        return msgspec.msgpack.decode(said, type=_Promise)
    except ValueError:  # msgspec's are among them
        return None


def _sign(key: bytes, said: bytes) -> bytes:
    return hmac.digest(key, _FOR + said, "sha256")
