"""A backup made while people work comes back as one point; a broken one is refused before a byte."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from ops import restore as restoring
from ops.backup import make, one_at_a_time
from ops.backup_choice import Chosen, check, choose
from ops.backup_erasures import erasures_of
from ops.backup_keep import prune
from ops.backup_keys import sealer_of
from ops.backup_objects import Sweeper, client_of, piece_name
from ops.backup_place import Folder, Place, place_at
from ops.backup_point import Fingerprint
from ops.children import Cannot
from ops.drill import drill, look
from ops.keys import rotate_in
from ops.restore import Restored, Then, bring_back, refuse_what_stands, restore
from ops.wal import Shipper
from storage import data_keys, erasure_log, migrate
from storage.backup_format import Kit
from storage.engine import make_engine, sessions
from storage.erasure_log import Erased
from storage.s3 import S3Objects
from storage.settings import S3Place, Settings
from tests.ops.backup_house import House, asked, content_of, flipped, put
from tests.ops.conftest import short_folder
from tests.ops.running import Installation, wait_for

ONE = Fingerprint(2, "2")


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house with tables and papers, whose log is archived."""
    with short_folder(quick=True) as folder:
        one = Installation(folder / "home")
        one.env["YANASHA_BACKUPS"] = str(folder / "place")
        one.settings = Settings.from_env(one.env)
        one.start()
        migrate.upgrade(one.settings.database_url)
        with psycopg.connect(one.settings.database_url) as db:
            db.execute("CREATE TABLE written (word text PRIMARY KEY)")
        erasure_log.prepare(one.settings)
        masters = data_keys._Process.masters  # of the stores that other tests of this run share
        yield House(one.settings, folder, Folder(folder / "place"), Kit(bytes(32), bytes(32)))
        data_keys._Process.masters = masters
        one.throw_away()


@pytest.fixture(scope="module")
def key(house: House) -> str:
    """The file that holds the recovery key."""
    return str(house.new_kit())


@pytest.fixture(scope="module")
def point(house: House, key: str) -> int:
    """Make the backup while somebody writes; how many rows there were when he stopped."""
    assert key
    asyncio.run(house.furnish())
    count = [0]
    with house.written_to(count):
        assert make(house.settings, house.place, sealer_of(house.settings)).counted
    return count[0]


async def test_a_backup_under_load_comes_back_as_one_point_and_the_drill_sees_what_does_not(
    house: House, point: int, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each table as it was counted, no row without its object, papers and audit whole: PASS. Of
    what is spoiled there afterwards each thing is named."""
    found: list[str] = []
    wrong: list[str] = []

    async def also(there: Settings, restored: Restored) -> None:
        for (word,) in asked(there, "SELECT word FROM written ORDER BY word"):
            content = client_of(there).get_object(there.s3_bucket, f"load/{word}").read()
            assert content == content_of(str(word))
            found.append(str(word))
        assert (there.home / "secrets/postgres").read_bytes() == (
            house.settings.home / "secrets/postgres"
        ).read_bytes()
        await house.spoil_file(there)
        client_of(there).remove_object(there.s3_bucket, "load/000000")
        put(there, "load/000001", content_of("other"))
        asked(there, "UPDATE document_views SET line = 'x' || line WHERE audience = 'full'")
        asked(
            there,
            "ALTER TABLE audit_acts DISABLE TRIGGER USER",
            "UPDATE audit_acts SET actor_id = gen_random_uuid()",
        )
        await look(wrong)(there, restored)
        asked(there, "UPDATE data_keys SET wrapped = set_byte(wrapped, 20, 0)")
        asked(there, "UPDATE data_keys SET wrapped = set_byte(wrapped, 21, 0)")
        await look(wrong)(there, restored)

    code = await drill(
        house.settings,
        None,
        to=None,
        key=key,
        erasures=None,
        scratch=str(house.folder),
        also=also,
    )
    said = capsys.readouterr().out
    assert code == 0, said
    assert "1 persons' keys open, 2 signed documents verify." in said
    assert "1 files are as they were handed in." in said
    assert "The audit is whole: " in said
    assert "The audit is whole: 0" not in said
    assert "PASS after" in said
    assert found == [f"{n:06}" for n in range(len(found))]
    assert 3 < len(found) < point
    assert "The object load/000000 did not come back: NoSuchKey." in wrong
    assert "The object load/000001 came back changed." in wrong
    assert sum("does not verify any more" in one for one in wrong) == 1
    assert f"The file {house.file} did not come back as it was handed in." in wrong
    assert "The audit is not whole: changed." in wrong
    assert wrong[-2:-1] == ["A person's key does not open: the master key is another one."]
    assert _drilled(house) is True
    assert not list(house.folder.glob("yd-*"))


def _drilled(house: House) -> bool:
    """What the board says of the last drill."""
    said = msgspec.json.decode((house.settings.state_dir / "backup-drill.json").read_bytes())
    return bool(said["passed"])


async def test_a_drill_that_breaks_off_has_not_passed(
    house: House, point: int, key: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without room for it, or with a backup that has a hole."""
    assert point
    place = Folder(house.folder / "copy")
    shutil.copytree(house.place.root, place.root)

    async def failed(scratch: Path) -> str:
        code = await drill(
            house.settings, str(place), to=None, key=key, erasures=None, scratch=str(scratch)
        )
        said = capsys.readouterr().out
        assert code == 1, said
        assert "FAIL after" in said
        assert _drilled(house) is False
        return said

    assert "The restore broke off: FileNotFoundError" in await failed(house.folder / "nowhere")
    next((place.root / "pieces").rglob("*/*")).unlink()
    assert "The backup has a hole: pieces/" in await failed(house.folder)
    shutil.rmtree(place.root)


@pytest.mark.parametrize("there", [{}, {"written": Fingerprint(2, "1")}, {"more": ONE}])
def test_a_table_that_came_back_another_one_is_no_restore(there: dict[str, Fingerprint]) -> None:
    """Lost, of another content, or one that nobody counted."""
    counted = {"written": ONE}
    assert restoring._compare(msgspec.json.encode(counted), counted) == (1, 2)
    with pytest.raises(Cannot, match=r"The table (written|more) came back with"):
        restoring._compare(msgspec.json.encode(counted), {**counted, **there} if there else {})


@pytest.fixture
def outside(stores: Settings) -> str:
    """A bucket of a store elsewhere, which has keys of its own."""
    client = client_of(stores)
    if not client.bucket_exists("backups"):
        client.make_bucket("backups")
    keys = f"{stores.s3_access_key}:{stores.s3_secret_key}"
    return f"http://{keys}@{stores.s3_endpoint.removeprefix('http://')}/backups/{uuid4().hex}"


async def test_a_point_in_time_between_two_writes_comes_back_and_once_more_from_a_bucket(
    house: House, point: int, outside: str
) -> None:
    """What was written before it is there with its object, what came after is not; keys lie under
    a master newer than the backup, and who was erased since is erased again. What was restored is
    backed up as any other house is, and comes back a second time."""
    owner, other, place = uuid4(), uuid4(), place_at(outside)
    masters = data_keys.unlock(house.settings.home)
    engine = make_engine(house.settings.database_url)
    async with sessions(engine)() as db, db.begin():
        await data_keys.key_of(db, owner, datetime.now(UTC))
        was = await data_keys.key_of(db, other, datetime.now(UTC))
    await rotate_in(masters, sessions(engine))
    await engine.dispose()
    house.write("before")
    ((at,),) = house.ask("SELECT clock_timestamp()")
    house.write("after")
    await _erase(house, owner)
    _ship(house, Shipper(house.settings, house.place, sealer_of(house.settings)))
    assert isinstance(at, datetime)

    async def then(there: Settings, restored: Restored) -> None:
        assert restored.erased == 1
        words = {word for (word,) in asked(there, "SELECT word FROM written")}
        assert "before" in words
        assert "after" not in words
        assert len(words) == point + 1
        stored = {one.object_name for one in client_of(there).list_objects("yanasha", "load/")}
        assert {f"load/{word}" for word in words} <= stored
        gone = asked(there, "SELECT owner FROM data_keys WHERE destroyed_at IS NOT NULL")
        assert gone == [(owner,)]
        data_keys.unlock(there.home)
        engine = make_engine(there.database_url)
        async with sessions(engine)() as db:
            assert (await data_keys.keys_of(db, [other]))[other] == was
        await engine.dispose()

    async def again(there: Settings, restored: Restored) -> None:
        await then(there, restored)
        assert restored.tables is None, "nobody counted them at that time"
        made = await asyncio.to_thread(make, there, place, sealer_of(there))
        assert made.counted

    async def and_then(there: Settings, restored: Restored) -> None:
        await then(there, restored)
        assert restored.tables is not None

    await _from(house.place, house, at.isoformat(), again)
    await _from(place, house, None, and_then, scratch=True)


async def _from(
    place: Place, house: House, to: str | None, then: Then, *, scratch: bool = False
) -> None:
    """Bring the newest backup of a place back, as `yanasha restore` does, and look."""
    there, chosen = house.scratch(), choose(place, house.kit, to)
    log = erasures_of(there, chosen, None)
    check(there, chosen)
    await bring_back(there, chosen, log, then, scratch=scratch)
    assert not (there.home / "restore-unfinished").exists()


async def _erase(house: House, owner: UUID, at: Settings | None = None) -> None:
    """Log an erasure at the house, or at another one whose store has the house's copies."""
    objects = S3Objects(house.settings)
    erased = Erased(owner=owner, at=datetime.now(UTC), reason="asked")
    await erasure_log.append(at or house.settings, objects, erased)
    objects.close()


def _ship(house: House, shipper: Shipper) -> None:
    """Close a segment of the log and put it."""
    house.write(uuid4().hex)
    ((last, _),) = house.ask("SELECT pg_walfile_name(pg_current_wal_lsn()), pg_switch_wal()")
    wait_for("the log to be archived", (house.settings.home / f"wal/{last}").exists)
    shipper.rest_until = 0.0
    assert shipper.step() > 0


async def test_a_broken_log_of_erasures_is_refused_before_anything_is_written(
    house: House, point: int, key: str, tmp_path: Path
) -> None:
    """Changed, empty, of another house, or one that says something else than the place's; a shorter
    one does not hide who is in the longer."""
    assert point
    whole = erasure_log.log_path(house.settings).read_bytes()
    path, there = tmp_path / "log.jsonl", house.scratch()
    other = replace(house.settings, home=tmp_path)
    await _erase(house, uuid4(), at=other)
    foreign = erasure_log.log_path(other).read_bytes()
    for wrong in (flipped(whole, len(whole) // 2), b"", b"%PDF", foreign, whole[:-9]):
        path.write_bytes(wrong)
        with pytest.raises(Cannot, match="Nothing was restored"):
            await restore(there, str(house.place), to=None, key=key, erasures=str(path))
        assert not there.home.exists()
    await _erase(house, uuid4())
    path.write_bytes(erasure_log.log_path(house.settings).read_bytes())
    chosen = choose(house.place, house.kit, None)
    assert _count(there, chosen, path) == 2
    path.write_bytes(whole)
    assert _count(there, chosen, path) == 1
    _ship(house, Shipper(house.settings, house.place, sealer_of(house.settings)))
    assert _count(there, chosen, path) == 2
    assert _count(there, chosen, None) == 2


def _count(there: Settings, chosen: Chosen, path: Path | None) -> int:
    return len(erasures_of(there, chosen, str(path) if path else None) or [])


KINDS = ["manifest.json", "base", "wal", "secrets", "audit", "tables", "objects", "pieces"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_anywhere_is_refused_before_anything_is_written(
    house: House, point: int, kind: str
) -> None:
    """In the middle and at the end of every kind of file, and where the end was cut off."""
    assert point
    chosen = choose(house.place, house.kit, None)
    name = f"backups/{chosen.manifest.id}/{kind}"
    if kind == "pieces":
        name = piece_name(next(chosen.objects()).piece)
    path = house.place.root / name
    whole = path.read_bytes()
    there = house.scratch()
    try:
        for wrong in (flipped(whole, len(whole) // 2), flipped(whole, len(whole) - 3), whole[:-2]):
            path.write_bytes(wrong)
            with pytest.raises(Cannot, match="Nothing was restored"):
                check(there, choose(house.place, house.kit, None))
            assert not there.home.exists()
    finally:
        path.write_bytes(whole)


def test_a_lost_part_is_refused(house: House, point: int) -> None:
    """The name of what is missing is told."""
    assert point
    lost = next(choose(house.place, house.kit, None).objects())
    path = house.place.root / piece_name(lost.piece)
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


def test_nothing_is_restored_over_what_stands(house: House, point: int) -> None:
    """A folder with anything in it is left as it is; so is an outside bucket whose object of the
    same key and size is another one."""
    assert point
    with pytest.raises(Cannot, match="is not empty"):
        refuse_what_stands(house.settings)
    own = house.settings
    outside = S3Place(own.s3_endpoint, own.s3_access_key, own.s3_secret_key)
    there, chosen = (
        replace(house.scratch(), outside_objects=outside),
        choose(house.place, house.kit, None),
    )
    check(there, chosen)
    put(own, "load/000000", content_of("other"))
    with pytest.raises(Cannot, match="another object load/000000"):
        check(there, chosen)
    put(own, "load/000000", content_of("000000"))


def test_a_time_that_the_log_does_not_reach_is_refused(house: House, point: int) -> None:
    """And a time without its zone, and one before the first backup."""
    assert point
    with pytest.raises(Cannot, match=r"archived until|was not archived"):
        choose(house.place, house.kit, "2100-01-01T00:00:00+00:00")
    with pytest.raises(Cannot, match="time with its zone"):
        choose(house.place, house.kit, "2026-11-22T16:00:00")
    with pytest.raises(Cannot, match="There is no backup"):
        choose(house.place, house.kit, "2020-01-01T00:00:00+00:00")


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


def test_of_older_backups_nothing_stays_but_what_a_newer_one_needs(house: House) -> None:
    """A backup reads only what is new. Parts of older ones go, the log before the oldest that
    stays, pieces whose objects were gone by then, and what broke off."""
    settings, place, sealer = house.settings, house.place, sealer_of(house.settings)

    def away() -> None:
        raise Cannot("away")

    before = place.names("backups")
    with pytest.raises(Cannot, match="away"):
        make(settings, place, sealer, away)
    assert place.names("backups") == before
    house.write("gone")
    stored = list(client_of(settings).list_objects(settings.s3_bucket, recursive=True))
    known = Sweeper(settings, place, sealer).known
    new = {one.object_name for one in stored} - known.keys()
    made = make(settings, place, sealer)
    left_out = {name for name in new if str(name).startswith(("erasures/", ".ready"))}
    assert made.new_objects == len(new - left_out)
    assert made.objects > made.new_objects
    piece = piece_name(Sweeper(settings, place, sealer).known["load/gone"].piece)
    client_of(settings).remove_object(settings.s3_bucket, "load/gone")
    newest = make(settings, place, sealer)
    place.put("backups/20200101T000000Z-abcdef/base", [b"broke off"])
    half = place.root / "pieces/.half"
    half.write_bytes(b"half")
    os.utime(half, (0, 0))
    assert prune(place, Sweeper(settings, place, sealer), 2) == 1
    assert piece in place.names("pieces")  # the older of the two began before it was gone
    assert {name.split("/")[1] for name in place.names("backups")} == {made.id, newest.id}
    assert not half.exists()
    assert place.names("wal") == []
    check(house.scratch(), choose(place, house.kit, None))


async def test_a_new_recovery_key_leaves_the_older_backups_to_the_older_key(house: House) -> None:
    """Both open theirs, with every erasure; the log's archive follows the newer key at once. With
    its backups the older key's pieces go."""
    settings, place, older = house.settings, house.place, house.kit
    shipper = Shipper(settings, place, sealer_of(settings))
    _ship(house, shipper)
    pieces = set(place.names("pieces"))
    house.new_kit()
    await _erase(house, uuid4())
    made = make(settings, place, sealer_of(settings))
    _ship(house, shipper)
    for kit, to in ((older, None), (house.kit, "latest")):
        chosen = choose(place, kit, to)
        assert len(erasures_of(settings, chosen, None) or []) == 3
        check(house.scratch(), chosen)
    assert choose(place, house.kit, None).manifest.id == made.id
    assert prune(place, Sweeper(settings, place, sealer_of(settings)), 1) == 2
    assert not pieces & set(place.names("pieces"))
    check(house.scratch(), choose(place, house.kit, None))
