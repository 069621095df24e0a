"""Asking for help to get in: whoever asks learns nothing.

A request is one INSERT … SELECT: it costs the same whether the login or the number is known or
not, and everything that follows happens in a job (people/recoveries.py).
"""

from datetime import datetime
from typing import Annotated

import msgspec
from sqlalchemy import func, literal, select, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from people import throttle
from people.cards import Cards
from people.passwords import Credentials, folded
from people.policy import Kind
from people.recoveries import SHOWN_FOR, TELL_JOB, Recoveries
from people.relations import Relations
from people.throttle import network_prefix
from storage.jobs import enqueue


class AskForHelp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A login, or the number printed on a card."""

    login_or_number: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


async def ask_for_help(db: AsyncSession, asked: AskForHelp, network: str, now: datetime) -> None:
    """Note that whoever this login or card number belongs to cannot get in.

    Raises TooManyAttempts; asking has a counter of its own, so that it holds no sign-in back.
    """
    await throttle.asked(db, "help", network_prefix(network), now)
    word = asked.login_or_number
    number = "".join(sign for sign in word if sign.isdigit())
    by_card = select(Cards.person_id, Cards.organisation_id).where(
        Cards.number == number, Cards.revoked_at.is_(None)
    )
    works = (Kind.DUTY, Kind.ADMINISTRATION, Kind.CLERKSHIP, Kind.ATTACHMENT, Kind.CLASS)
    by_login = (
        select(Credentials.person_id, Relations.organisation_id)
        .join(Relations, Relations.actor_id == Credentials.person_id)
        .where(
            Credentials.login == folded(word),
            Relations.kind.in_([kind.value for kind in works]),
            Relations.organisation_id.is_not(None),
            Relations.live(now),
        )
    )
    found = union(by_card, by_login).subquery()
    rows = select(func.gen_random_uuid(), found.c.person_id, found.c.organisation_id, literal(now))
    new = insert(Recoveries).from_select(["id", "person_id", "organisation_id", "asked_at"], rows)
    await db.execute(
        new.on_conflict_do_update(
            index_elements=[Recoveries.person_id, Recoveries.organisation_id],
            index_where=Recoveries.done_at.is_(None),
            # Nobody helped, and it is shown no more: asked anew, and told anew.
            set_={"asked_at": now, "told_at": None},
            where=Recoveries.asked_at <= now - SHOWN_FOR,
        )
    )
    await enqueue(db, TELL_JOB, once=TELL_JOB)
