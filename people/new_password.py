"""A new password by a one-time link, for whoever works somewhere.

The link opens no session: who has a new password still signs in with it, and proves the second
factor as ever. Nobody but the person chooses or learns the password; a login is chosen once.
"""

from datetime import datetime
from typing import Annotated

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people.audit import acted
from people.entering import Secret, no_such_secret
from people.links import shown_link
from people.notices import notify
from people.passwords import Credentials, check_password, folded, hold, set_password, words_about
from people.persons import me
from people.policy import Thing
from people.refused import FieldError, Refused
from people.sessions import end_sessions_of
from people.throttle import begin, is_known_here, network_prefix, succeeded

LOGIN_MOST = 60


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The link's secret and the password to be; a login for who has none yet."""

    secret: Secret
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    login: Annotated[str, msgspec.Meta(min_length=1, max_length=LOGIN_MOST)] | None = None


class LoginTaken(Refused):
    """Somebody else signs in with this login, or it is missing where one must be chosen."""

    status = 409
    code = "login_taken"


async def set_new_password(db: AsyncSession, new: NewPassword, network: str, now: datetime) -> None:
    """Set the password of the link's person, use the link up and end all sessions.

    Raises CardRefused, WeakPassword, LoginTaken, TooManyAttempts.
    """
    prefix = network_prefix(network)
    link = await shown_link(db, new.secret, now)
    if link is None:
        raise await no_such_secret(db, prefix, now)
    known_here = await is_known_here(db, link.person_id, prefix, now)
    attempt = await begin(db, f"link {link.id}", prefix, now, known_here=known_here)
    who = await me(db, link.person_id, now)
    if not who.staff:
        raise await no_such_secret(db, prefix, now)
    held = await hold(db, who.id)
    login = await _free(db, new.login) if held is None else held.login
    check_password("password", new.password, [login, *await words_about(db, who.id, now)])
    await set_password(db, who.id, login, new.password, now)
    link.used_at = now
    await succeeded(db, attempt, now)
    await end_sessions_of(db, who.id, now)
    thing = Thing(subject_id=who.id, organisation_id=link.organisation_id, about=(link.id,))
    await acted(db, who.id, "password_set_by_link", thing, now)
    await notify(db, who.id, "password_set", {}, now, critical=True)


async def _free(db: AsyncSession, wanted: str | None) -> str:
    """The login chosen now, if it is nobody's."""
    login = folded(wanted or "")
    taken = select(Credentials.person_id).where(Credentials.login == login)
    if not login or any(sign.isspace() for sign in login):
        raise LoginTaken((FieldError("login", "missing"),))
    if await db.scalar(taken) is not None:
        raise LoginTaken((FieldError("login", LoginTaken.code),))
    return login
