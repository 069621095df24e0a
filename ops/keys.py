"""`yanasha keys rotate`: a new master key, and every person's key wrapped under it.

`yanasha keys retire ORGANISATION`: a new key that an organisation signs documents with.
"""

from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ops.children import Cannot
from ops.stores import stores_up
from ops.supervisor import say
from people import organisation_keys
from people.document_register import tell_signers
from people.organisation_keys import KeyUnknown
from people.organisations import Organisations
from storage import data_keys
from storage.data_keys import CannotOpen
from storage.engine import make_engine, sessions
from storage.master_keys import MasterMissing, Masters
from storage.settings import Settings


async def rotate(settings: Settings) -> int:
    """Rotate the master key while everything runs; one broken off is finished first.

    Nothing that is sealed is touched: only the keys of persons are wrapped anew. Raises Cannot.
    """
    masters = data_keys.unlock(settings.home)
    async with stores_up(settings):
        engine = make_engine(settings.database_url, pool_size=1)
        try:
            new, count = await rotate_in(masters, sessions(engine))
        except MasterMissing as missing:
            raise Cannot(str(missing)) from missing
        except CannotOpen as error:
            raise Cannot(
                "A key in the database was not wrapped by this house's master key: "
                "restore home/secrets and the database from the same backup."
            ) from error
        finally:
            await engine.dispose()
    current = masters.current()
    if new:
        say(f"The new master key is {current.id}; {count} keys were wrapped anew.")
    else:
        say(f"A rotation that was broken off is finished: {count} keys lie under {current.id} now.")
        say("Run the command again for a new master key.")
    say(
        f"Older master keys stay in {settings.home / 'secrets'}: backups made before need them. "
        "Make a backup now."
    )
    return 0


async def rotate_in(
    masters: Masters, new_session: async_sessionmaker[AsyncSession], batch: int = 500
) -> tuple[bool, int]:
    """Make a new master unless keys still wait for the current one; wrap batch by batch.

    Each batch is a transaction of its own. Says whether the master is new, and how many keys moved.
    """
    async with new_session() as db:
        new = not await data_keys.waiting(db)
    if new:
        masters.rotate()
    count = 0
    while True:
        async with new_session() as db, db.begin():
            moved = await data_keys.rewrap(db, batch)
        count += moved
        if not moved:
            return new, count


async def retire(
    settings: Settings, organisation: str, *, key: str | None, since: str | None
) -> int:
    """Let an organisation sign with a new key from now on. Raises Cannot, UnsafeSecret.

    With `since` the old one may be somebody else's from then on.
    """
    now = datetime.now(UTC)
    from_then = None if since is None else moment(since, now)
    data_keys.unlock(settings.home)
    async with stores_up(settings):
        engine = make_engine(settings.database_url, pool_size=1)
        try:
            async with sessions(engine)() as db, db.begin():
                lines = await retire_in(db, settings, organisation, now, key=key, since=from_then)
        finally:
            await engine.dispose()
    for line in lines:
        say(line)
    return 0


async def retire_in(
    db: AsyncSession,
    settings: Settings,
    organisation: str,
    now: datetime,
    *,
    key: str | None = None,
    since: datetime | None = None,
) -> list[str]:
    """Retire the key in this transaction, and give what the operator is told. Raises Cannot."""
    place = await _organisation(db, organisation)
    try:
        done = await organisation_keys.retire(
            db, settings.home, place.id, now, key_id=key, since=since
        )
    except KeyUnknown as unknown:
        raise Cannot(
            f"{place.name} has no such key."
            if key
            else f"{place.name} has signed nothing yet: there is no key to retire."
        ) from unknown
    lines = [
        f"{place.name} signs with the key {done.current} from now on; {done.key} signs no more.",
        "Hand the new public key to whoever verifies without asking: it is on the page /#/verify.",
    ]
    if done.compromised_since is None:
        return [*lines, "What was signed with the old one verifies as before."]
    count = await tell_signers(db, place.id, done.key, done.compromised_since, now)
    since_then = done.compromised_since.isoformat()
    lines.append(
        f"What {done.key} signed from {since_then} on is not to be trusted any more. Documents "
        f"that held until now: {count}; their doctors were told to sign the next versions."
    )
    lines.append(
        "What was signed before is still genuine where the register is asked. Whoever verifies "
        "without asking it has to fetch the old public key again too: it says now that it is not "
        "to be trusted."
    )
    return lines


def moment(text: str, now: datetime) -> datetime:
    """Read a moment with its zone, not in the future. Raises Cannot."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Cannot(f"{text!r} is no time like 2026-03-02T14:00+03:00.") from error
    if found.tzinfo is None:
        raise Cannot(f"{text!r} does not say in which zone: write 2026-03-02T14:00+03:00.")
    if found > now:
        raise Cannot(f"{text} is in the future.")
    return found.astimezone(UTC)


async def _organisation(db: AsyncSession, named: str) -> Organisations:
    """Find it by id or by its whole name. Raises Cannot."""
    query = select(Organisations)
    try:
        query = query.where(Organisations.id == UUID(named))
    except ValueError:
        query = query.where(func.lower(Organisations.name) == named.strip().lower())
    found = (await db.scalars(query.limit(2))).all()
    if len(found) != 1:
        how = "Several organisations are" if found else "No organisation is"
        raise Cannot(f"{how} called {named!r}: name it by its id.")
    return found[0]
