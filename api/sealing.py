"""The sealer's loop, beside the jobs: what is committed to the audit is sealed within a second."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from api.logs import error_fields, log
from people.audit_chain import BATCH, EVERY_S, Keys, Sealer
from storage.engine import make_engine
from storage.s3 import S3Objects
from storage.settings import Settings

_ANCHOR_S = 30.0
_LONGEST_WAIT_S = 10.0


def utc_now() -> datetime:
    """The clock of the edge."""
    return datetime.now(UTC)


@asynccontextmanager
async def sealed(
    settings: Settings, clock: Callable[[], datetime] = utc_now
) -> AsyncGenerator[Sealer, None]:
    """Seal from here to the end of the block; what was committed before its end is sealed too."""
    engine = make_engine(settings.database_url, pool_size=2)
    objects = S3Objects(settings)
    sealer = Sealer(engine, objects, Keys.of(settings.home))
    loops = [
        asyncio.create_task(_keep_sealing(sealer, clock)),
        asyncio.create_task(_keep_anchoring(sealer, clock)),
    ]
    try:
        yield sealer
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
        with suppress(Exception):  # a store that is away keeps the queue; the next start seals it
            while await sealer.seal(clock()) == BATCH:
                pass
        objects.close()
        await engine.dispose()


async def _keep_sealing(sealer: Sealer, clock: Callable[[], datetime]) -> None:
    wait_s = EVERY_S
    while True:
        try:
            count = await sealer.seal(clock())
        except Exception as error:  # noqa: BLE001 - jobs go on, and the next try may succeed
            log.error("audit not sealed", **error_fields(error))
            wait_s = min(max(wait_s, EVERY_S) * 2, _LONGEST_WAIT_S)
        else:
            wait_s = 0.0 if count == BATCH else EVERY_S
        await asyncio.sleep(wait_s)


async def _keep_anchoring(sealer: Sealer, clock: Callable[[], datetime]) -> None:
    while True:
        try:
            await sealer.anchor(clock())
        except Exception as error:  # noqa: BLE001 - as above
            log.error("audit checkpoint not kept", **error_fields(error))
        await asyncio.sleep(_ANCHOR_S)
