"""The door behind a QR: a secret is shown, a card or a one-time link lets its person in.

A secret that names nothing costs what every wrong proof costs (people/throttle.py) and is told
the same whether it never was, is revoked, used or too old.
"""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from people import cards, links
from people.cards import Cards
from people.links import EntryLinks
from people.passwords import Credentials
from people.persons import Me, me
from people.refused import Refused
from people.second_factors import SecondStep, SignedInAs, let_in
from people.throttle import begin, failed, is_known_here, network_prefix, proof_failed, succeeded

Secret = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Shown(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a QR said, and the date of birth once it was asked for."""

    secret: Secret
    born_on: date | None = None


class Entered(msgspec.Struct, frozen=True):
    """A session, or the step before it; `browser` is the token by which the card is known."""

    found: SignedInAs | SecondStep
    browser: str | None = None


class CardRefused(Refused):
    """No such card or link for anybody: it never was, is revoked, used, or too old. It counts."""

    status = 404
    code = "card_refused"
    keeps_writes = True


class StaffNeedPassword(Refused):
    """Whoever works somewhere does not come in by a card."""

    status = 403
    code = "staff_need_password"


class NewPasswordNeeded(Refused):
    """The link of somebody who works somewhere: it gives a new password, and no session.

    `params["login"]` is theirs, or empty for who has to choose one.
    """

    status = 403
    code = "new_password_needed"


async def enter(
    db: AsyncSession, shown: Shown, browser: str | None, network: str, now: datetime
) -> Entered:
    """Open a session for whoever shows a card or a link. `network` is the caller's address.

    Raises CardRefused, CardLocked, LinkLocked, BirthDateNeeded, WrongBirthDate,
    StaffNeedPassword, NewPasswordNeeded, TooManyAttempts; those that keep their writes must be
    committed.
    """
    prefix = network_prefix(network)
    card = await cards.shown_card(db, shown.secret)
    if card is not None:
        return await _by_card(db, card, prefix, now, born_on=shown.born_on, browser=browser)
    link = await links.shown_link(db, shown.secret, now)
    if link is not None:
        return await _by_link(db, link, prefix, now, born_on=shown.born_on)
    raise await no_such_secret(db, prefix, now)


async def no_such_secret(db: AsyncSession, prefix: str, now: datetime) -> CardRefused:
    """Count a wrong secret against the network and give the refusal. Raises TooManyAttempts."""
    attempt = await begin(db, None, prefix, now)
    await proof_failed(db, None, prefix, now)
    await failed(db, attempt, now)
    return CardRefused()


async def _by_card(
    db: AsyncSession,
    card: Cards,
    prefix: str,
    now: datetime,
    *,
    born_on: date | None,
    browser: str | None,
) -> Entered:
    known = await cards.browser_knows(db, card, browser)
    # Guesses of others in the same network hold back nobody who comes in from there as ever.
    known_here = known or await is_known_here(db, card.person_id, prefix, now)
    attempt = await begin(db, f"card {card.id}", prefix, now, known_here=known_here)
    who = await me(db, card.person_id, now)
    if who.staff:
        raise StaffNeedPassword
    try:
        await cards.judge_card(db, card, born_on, now, known=known)
    except Refused as wrong:
        if wrong.keeps_writes:
            await proof_failed(db, card.person_id, prefix, now)
            await failed(db, attempt, now)
        raise
    await succeeded(db, attempt, now)
    kept = await cards.used_card(db, card, browser, now)
    found = await _let_in(db, who, prefix, now, method=cards.METHOD, opened_by=card.id)
    return Entered(found, kept)


async def _by_link(
    db: AsyncSession, link: EntryLinks, prefix: str, now: datetime, *, born_on: date | None
) -> Entered:
    known_here = await is_known_here(db, link.person_id, prefix, now)
    attempt = await begin(db, f"link {link.id}", prefix, now, known_here=known_here)
    who = await me(db, link.person_id, now)
    if who.staff:
        own = select(Credentials.login).where(Credentials.person_id == who.id)
        raise NewPasswordNeeded(login=await db.scalar(own) or "")
    try:
        await links.judge_link(db, link, born_on, now)
    except Refused as wrong:
        if wrong.keeps_writes:
            await proof_failed(db, who.id, prefix, now)
            await failed(db, attempt, now)
        raise
    await succeeded(db, attempt, now)
    link.used_at = now
    return Entered(await _let_in(db, who, prefix, now, method=links.METHOD, opened_by=link.id))


async def _let_in(
    db: AsyncSession, who: Me, prefix: str, now: datetime, *, method: str, opened_by: UUID
) -> SignedInAs | SecondStep:
    """Open the session of a patient, parent or pupil: of them no second factor is required."""
    return await let_in(db, who.id, prefix, now, method=method, opened_by=opened_by, required=False)
