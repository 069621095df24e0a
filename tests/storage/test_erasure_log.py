"""The log of erasures: it grows, it is chained, it is copied, and what was changed is refused."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import erasure_log
from storage.engine import new_id
from storage.erasure_log import BrokenLog, Erased, append, log_path, read, read_all, write_all
from storage.objects import Objects, ObjectsAway
from storage.s3 import S3Objects
from storage.secrets import secret
from storage.settings import S3Place, Settings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def erased() -> Erased:
    """Somebody was."""
    return Erased(owner=new_id(), at=NOW, reason="asked")


@pytest.fixture
async def home(stores: Settings, objects: Objects, tmp_path: Path) -> Settings:
    """An installation of this test's own, whose objects hold no copies yet."""
    for key in await objects.keys(erasure_log.PREFIX):
        await objects.delete(key)
    return replace(stores, home=tmp_path)


async def test_what_was_appended_is_read_in_order_from_both_places(
    home: Settings, objects: Objects
) -> None:
    """From the file, and from the copies when the file is gone."""
    both = [erased(), erased()]
    for one in both:
        await append(home, objects, one)
    assert read(home) == both
    log_path(home).unlink()
    assert read(home) == []
    assert await read_all(home, objects) == both


async def test_a_line_half_written_is_no_entry_and_is_not_in_the_way(
    home: Settings, objects: Objects
) -> None:
    """The power went while it was written: nobody was told that it stands."""
    first, second = erased(), erased()
    await append(home, objects, first)
    with log_path(home).open("ab") as file:
        file.write(b'{"sequence":2,"era')
    assert read(home) == [first]
    await append(home, objects, second)
    assert read(home) == [first, second]


async def test_with_the_store_away_no_line_is_left(home: Settings, objects: Objects) -> None:
    """The erasure is refused then, and no restore does it months later."""
    await append(home, objects, erased())
    nowhere = S3Place("http://127.0.0.1:9", "key", "secret")
    before = read(home)
    with pytest.raises(ObjectsAway):
        await append(home, S3Objects(replace(home, outside_objects=nowhere)), erased())
    assert read(home) == before


async def test_a_changed_line_is_found(home: Settings, objects: Objects) -> None:
    """Another owner, two lines exchanged, one taken out, another house's key."""
    for _ in range(3):
        await append(home, objects, erased())
    path = log_path(home)
    lines = path.read_bytes().splitlines(keepends=True)
    other = lines[1].replace(b'"asked"', b'"other"')
    for wrong in (
        [lines[0], other, lines[2]],
        [lines[1], lines[0], lines[2]],
        [lines[0], lines[2]],
        [lines[0], b"{}\n"],
    ):
        path.write_bytes(b"".join(wrong))
        with pytest.raises(BrokenLog):
            read(home)
        with pytest.raises(BrokenLog):
            await append(home, objects, erased())
        assert path.read_bytes() == b"".join(wrong)
    path.write_bytes(b"".join(lines))
    assert len(read(home)) == 3
    (home.home / "secrets" / "erasure-log").write_bytes(bytes(32))
    with pytest.raises(BrokenLog):
        read(home)


async def test_an_end_cut_off_is_given_back_by_the_copies(home: Settings, objects: Objects) -> None:
    """The chain alone cannot tell that its end is missing."""
    for _ in range(2):
        await append(home, objects, erased())
    path = log_path(home)
    whole = read(home)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert read(home) == whole[:1]
    assert await read_all(home, objects) == whole


async def test_copies_of_another_story_are_refused(home: Settings, objects: Objects) -> None:
    """Neither is believed then: a person has to look."""
    await append(home, objects, erased())
    log_path(home).unlink()
    await append(home, objects, erased())  # the copy of number 1 stands already
    with pytest.raises(BrokenLog):
        await read_all(home, objects)


async def test_a_restored_home_takes_the_log_over_once(
    home: Settings, objects: Objects, tmp_path: Path
) -> None:
    """Into an empty home only; from then on it goes on there."""
    entry = await append(home, objects, erased())
    there = replace(home, home=tmp_path / "there")
    key = secret(home.home, "erasure-log")
    secret(there.home, "erasure-log")
    (there.home / "secrets" / "erasure-log").write_bytes(key)
    write_all(there, [entry])
    assert read(there) == read(home)
    with pytest.raises(BrokenLog):
        write_all(there, [entry])
    await append(there, objects, erased())
    assert len(read(there)) == 2
