"""`yanasha keys rotate`: a new master key, and every person's key wrapped under it."""

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from ops.children import Cannot
from ops.stores import stores_up
from ops.supervisor import say
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
