"""A backup of the demo world while somebody writes, the world wiped, the way back: restore.demo.

Every stream is opened and checked before the first byte is written, as `yanasha restore` does; rows
are held against what the backup counted, objects are read back. Both belong to the time measured.
"""

import asyncio
import io
import shutil
import sys
import threading
import time

import psycopg

from bench.harness import Row, at_most, report
from bench.stores import running_stores
from ops.backup import Done, make
from ops.backup_choice import check, choose
from ops.backup_keys import new_kit, sealer_of
from ops.backup_objects import client_of
from ops.backup_place import Folder
from ops.drill import look, scratch_folder
from ops.restore import bring_back
from ops.seed import seed
from storage import migrate
from storage.backup_format import Kit
from storage.settings import Settings

BAR_S = 60.0


class Load:
    """Somebody who writes all the time: an object, then the row that names it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self.rows = 0

    def run(self) -> None:
        """Write until told to stop."""
        client = client_of(self.settings)
        with psycopg.connect(self.settings.database_url, autocommit=True) as db:
            db.execute("CREATE TABLE bench_load (number bigint PRIMARY KEY, said text)")
            while not self.stop.is_set():
                key = f"bench/{self.rows}"
                client.put_object(self.settings.s3_bucket, key, io.BytesIO(bytes(20_000)), 20_000)
                db.execute("INSERT INTO bench_load VALUES (%s, %s)", [self.rows, "x" * 500])
                self.rows += 1


async def _backed_up(place: Folder) -> tuple[Kit, Done, int]:
    """Make the demo world and its backup under load; the world is gone afterwards."""
    with running_stores() as settings:
        await asyncio.to_thread(migrate.upgrade, settings.database_url)
        await seed(settings)
        kit, load = new_kit(settings), Load(settings)
        writer = threading.Thread(target=load.run)
        writer.start()
        try:
            await asyncio.sleep(1.0)  # the load is under way
            done = await asyncio.to_thread(make, settings, place, sealer_of(settings))
        finally:
            load.stop.set()
            writer.join()
        return kit, done, load.rows


async def restore_demo(_: Settings | None = None) -> list[Row]:
    """Measure on a house of its own, which is wiped.

    Raises Cannot when a row or an object did not come back as it was.
    """
    folder = scratch_folder(None)
    try:
        place = Folder(folder / "place")
        kit, done, written = await _backed_up(place)
        there = Settings.from_env({"YANASHA_HOME": str(folder / "home")})
        began = time.perf_counter()
        wrong: list[str] = []
        chosen = await asyncio.to_thread(choose, place, kit, None)
        await asyncio.to_thread(check, there, chosen)
        restored = await bring_back(there, chosen, None, look(wrong))
        spent_s = time.perf_counter() - began
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    equal = not wrong and restored.tables is not None
    return [
        at_most("restore.demo", spent_s, "s", bar=BAR_S, peer=f"{restored.rows} rows"),
        Row("restore.equal", int(equal), "counts and hashes", None, "1", holds=equal),
        Row("restore.backup", done.seconds, f"s, {written} rows written meanwhile"),
    ]


async def main() -> int:
    """Measure alone."""
    return report("restore", await restore_demo())


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
