"""A backup made while people work comes back as one point; a broken one is refused before a byte."""

import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from ops.backup import make, one_at_a_time
from ops.backup_choice import check, choose, erasures_of
from ops.backup_keep import prune
from ops.backup_keys import new_kit, sealer_of
from ops.backup_objects import Sweeper, client_of, piece_name
from ops.backup_place import Folder
from ops.children import Cannot
from ops.restore import Restored, bring_back, refuse_what_stands
from ops.wal import Shipper
from storage import data_keys, erasure_log, migrate
from storage.backup_format import Kit
from storage.engine import make_engine, sessions
from storage.erasure_log import Erased
from storage.s3 import S3Objects
from storage.settings import Settings
from tests.ops.conftest import short_folder
from tests.ops.running import Installation, wait_for


@dataclass
class House:
    """An installation whose stores run, where its backups lie, and what opens them."""

    settings: Settings
    folder: Path
    place: Folder
    kit: Kit

    def write(self, word: str) -> None:
        """Put an object, then the row that names it, as the house does."""
        content = hashlib.sha256(word.encode()).hexdigest().encode()
        client = client_of(self.settings)
        client.put_object(self.settings.s3_bucket, f"load/{word}", io.BytesIO(content), 64)
        with psycopg.connect(self.settings.database_url) as db:
            db.execute("INSERT INTO written (word) VALUES (%s)", [word])

    def ask(self, question: str) -> list[tuple[object, ...]]:
        """Ask the running database."""
        return asked(self.settings, question)

    def scratch(self) -> Settings:
        """Settings of a machine on which nothing stands."""
        return replace(self.settings, home=self.folder / uuid4().hex[:6], backups=None)


def asked(settings: Settings, question: str) -> list[tuple[object, ...]]:
    with psycopg.connect(settings.database_url) as db:
        return db.execute(question.encode()).fetchall()


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house with tables, whose log is archived, and one backup made under load."""
    with short_folder() as folder:
        place = folder / "place"
        one = Installation(folder / "home")
        one.env["YANASHA_BACKUPS"] = str(place)
        one.settings = Settings.from_env(one.env)
        one.start()
        migrate.upgrade(one.settings.database_url)
        with psycopg.connect(one.settings.database_url) as db:
            db.execute("CREATE TABLE written (word text PRIMARY KEY)")
        erasure_log.prepare(one.settings)
        masters = data_keys._Process.masters  # of the stores that other tests of this run share
        data_keys.unlock(one.settings.home)
        yield House(one.settings, folder, Folder(place), new_kit(one.settings))
        data_keys._Process.masters = masters
        one.throw_away()


@pytest.fixture(scope="module")
def point(house: House) -> int:
    """Make the backup while somebody writes; how many rows there were when he stopped."""
    stop, count = threading.Event(), 0

    def load() -> None:
        nonlocal count
        while not stop.is_set():
            house.write(f"{count:06}")
            count += 1

    writer = threading.Thread(target=load)
    writer.start()
    try:
        wait_for("the first rows", lambda: count > 3)
        done = make(house.settings, house.place, sealer_of(house.settings))
        seen = count
        wait_for("rows behind the backup", lambda: count > seen + 3)
    finally:
        stop.set()
        writer.join()
    assert done.counted
    return count


async def test_a_backup_under_load_comes_back_as_one_point(house: House, point: int) -> None:
    """Each table as it was counted, no row without its object; the drill says so and is noted."""
    found: list[str] = []

    async def look(there: Settings, restored: Restored) -> None:
        assert restored.tables is not None
        assert restored.rows > 0
        client = client_of(there)
        for (word,) in asked(there, "SELECT word FROM written ORDER BY word"):
            content = client.get_object(there.s3_bucket, f"load/{word}").read()
            assert content == hashlib.sha256(str(word).encode()).hexdigest().encode()
            found.append(str(word))

    there = house.scratch()
    chosen = choose(house.place, house.kit, None)
    check(there, chosen)
    await bring_back(there, chosen, None, look)
    assert found == [f"{n:06}" for n in range(len(found))]
    assert 3 < len(found) < point
    assert (there.home / "secrets/postgres").read_bytes() == (
        house.settings.home / "secrets/postgres"
    ).read_bytes()
    assert not (there.home / "restore-unfinished").exists()


async def test_a_point_in_time_between_two_writes(house: House, point: int) -> None:
    """What was written before it is there with its object, what came after is not, and who was
    erased since the backup is erased again."""
    owner = uuid4()
    engine = make_engine(house.settings.database_url)
    async with sessions(engine)() as db, db.begin():
        await data_keys.key_of(db, owner, datetime.now(UTC))
    await engine.dispose()
    house.write("before")
    ((at,),) = house.ask("SELECT clock_timestamp()")
    house.write("after")
    objects = S3Objects(house.settings)
    erased = Erased(owner=owner, at=datetime.now(UTC), reason="asked")
    await erasure_log.append(house.settings, objects, erased)
    objects.close()
    shipper = Shipper(house.settings, house.place, sealer_of(house.settings))
    ((last, _),) = house.ask("SELECT pg_walfile_name(pg_current_wal_lsn()), pg_switch_wal()")
    wait_for("the log to be archived", (house.settings.home / f"wal/{last}").exists)
    assert shipper.step() > 0
    assert isinstance(at, datetime)
    chosen = choose(house.place, house.kit, at.isoformat())
    log = erasures_of(chosen, None)
    there = house.scratch()
    check(there, chosen)

    async def look(there: Settings, restored: Restored) -> None:
        assert restored.erased == 1
        words = {word for (word,) in asked(there, "SELECT word FROM written")}
        assert "before" in words
        assert "after" not in words
        assert len(words) == point + 1
        stored = {one.object_name for one in client_of(there).list_objects("yanasha", "load/")}
        assert {f"load/{word}" for word in words} <= stored
        keys = asked(there, "SELECT owner FROM data_keys WHERE destroyed_at IS NOT NULL")
        assert keys == [(owner,)]

    await bring_back(there, chosen, log, look)


KINDS = ["manifest.json", "base", "wal", "secrets", "audit", "tables", "objects", "pieces"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_anywhere_is_refused_before_anything_is_written(
    house: House, point: int, kind: str
) -> None:
    """In the middle and at the end of every kind of file."""
    assert point
    top = house.place.root / ("pieces" if kind == "pieces" else "backups")
    path = next(one for one in sorted(top.rglob("*")) if one.is_file() and kind in str(one))
    whole = path.read_bytes()
    there = house.scratch()
    try:
        for wrong in (
            _flipped(whole, len(whole) // 2),
            _flipped(whole, len(whole) - 3),
            whole[:-2],
        ):
            path.write_bytes(wrong)
            with pytest.raises(Cannot, match="Nothing was restored"):
                check(there, choose(house.place, house.kit, None))
            assert not there.home.exists()
    finally:
        path.write_bytes(whole)


def _flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


def test_a_lost_part_is_refused(house: House, point: int) -> None:
    """The name of what is missing is told."""
    assert point
    path = next((house.place.root / "pieces").rglob("*/*"))
    aside = path.rename(path.with_name(".aside"))
    try:
        with pytest.raises(Cannot, match=f"hole: pieces/.*{path.name}"):
            check(house.scratch(), choose(house.place, house.kit, None))
    finally:
        aside.rename(path)


def test_a_backup_of_another_house_is_refused(house: House, point: int) -> None:
    """By who signed it, and by whom it was sealed for."""
    assert point
    with pytest.raises(Cannot, match="another installation"):
        choose(house.place, Kit(house.kit.private, bytes(32)), None)
    with pytest.raises(Cannot, match="another recovery key"):
        choose(house.place, Kit.new(house.kit.signer), None)


def test_nothing_is_restored_over_what_stands(house: House) -> None:
    """A folder with anything in it is left as it is."""
    with pytest.raises(Cannot, match="is not empty"):
        refuse_what_stands(house.settings)


def test_a_time_that_the_log_does_not_reach_is_refused(house: House, point: int) -> None:
    """And a time without its zone, and one before the first backup."""
    assert point
    with pytest.raises(Cannot, match=r"archived until|was not archived"):
        choose(house.place, house.kit, "2100-01-01T00:00:00+00:00")
    with pytest.raises(Cannot, match="time with its zone"):
        choose(house.place, house.kit, "2026-11-22T16:00:00")
    with pytest.raises(Cannot, match="There is no backup"):
        choose(house.place, house.kit, "2020-01-01T00:00:00+00:00")


def test_a_second_backup_reads_only_what_is_new(house: House, point: int) -> None:
    """An object that lies in the place already is listed, not read again."""
    assert point
    sealer = sealer_of(house.settings)
    make(house.settings, house.place, sealer)
    house.write("newer")
    done = make(house.settings, house.place, sealer)
    assert done.new_objects == 1
    assert done.objects > point


def test_of_older_backups_nothing_stays_but_what_a_newer_one_needs(house: House) -> None:
    """Their parts, the log before the oldest that stays, pieces whose objects were gone by then."""
    sealer = sealer_of(house.settings)
    house.write("gone")
    make(house.settings, house.place, sealer)
    sweeper = Sweeper(house.settings, house.place, sealer)
    piece = piece_name(sweeper.known["load/gone"].piece)
    client_of(house.settings).remove_object(house.settings.s3_bucket, "load/gone")
    make(house.settings, house.place, sealer)
    newest = make(house.settings, house.place, sealer)
    assert piece in house.place.names("pieces")
    assert prune(house.place, Sweeper(house.settings, house.place, sealer), 2) > 0
    assert piece in house.place.names("pieces")  # the older of the two began before it was gone
    assert prune(house.place, Sweeper(house.settings, house.place, sealer), 1) == 1
    assert piece not in house.place.names("pieces")
    assert {name.split("/")[1] for name in house.place.names("backups")} == {newest.id}
    assert house.place.names("wal") == []
    check(house.scratch(), choose(house.place, house.kit, None))


def test_two_backups_at_once_are_not_made(house: House) -> None:
    """The second one is told."""
    with (
        one_at_a_time(house.settings),
        pytest.raises(Cannot, match="Another backup"),
        one_at_a_time(house.settings),
    ):
        pass


def test_without_a_recovery_key_nothing_is_sealed(house: House) -> None:
    """It says how to make one."""
    with pytest.raises(Cannot, match="--new-recovery-key"):
        sealer_of(house.scratch())
