"""Which objects a point in time brings back: the lists behind a backup, each of which is missed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from ops.backup_choice import Chosen
from ops.backup_objects import lines
from ops.backup_place import Folder
from ops.backup_wal import Archived, Sweep, Until, sweep_name
from ops.restore import Reached
from storage.backup_format import (
    Damaged,
    Kit,
    Manifest,
    ObjectEntry,
    Sealer,
    deflated,
    seal,
)

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
KIT = Kit.new(Sealer(b"", bytes(32)).signer)
SEALER = Sealer(KIT.recipient, bytes(32))


def after(minutes: float) -> datetime:
    return AT + timedelta(minutes=minutes)


def entry(key: str, modified: datetime) -> ObjectEntry:
    return ObjectEntry(key, 1, "00", "e", key, "text/plain", modified.timestamp())


def put(place: Folder, name: str, pieces: list[bytes]) -> None:
    place.put(name, seal(SEALER, name.removeprefix("backups/"), deflated(pieces)))


@pytest.fixture
def place(tmp_path: Path) -> Folder:
    """A backup of noon with a list behind it each minute, and one from before it."""
    place = Folder(tmp_path)
    put(place, "backups/one/objects", list(lines([entry("old", after(-9))])))
    last = None
    for minute in (-1, 1, 2, 3):
        began = after(minute)
        name = sweep_name("l", began)
        new = [entry(f"at{minute}", began)]
        put(place, name, [msgspec.json.encode(Sweep(last)) + b"\n", *lines(new)])
        last = name
    return place


def chosen(place: Folder, *, to: datetime | None, log: float) -> Chosen:
    """The backup with the log archived for so many minutes."""
    manifest = Manifest(
        format=1,
        id="one",
        installation=SEALER.signer.hex(),
        recipient=KIT.recipient.hex(),
        lineage="l",
        product="0",
        revision=None,
        postgres=18,
        began_at=AT.isoformat(),
        point_at=AT.isoformat(),
        point="one",
        first_wal="000000010000000000000001",
        last_wal="000000010000000000000002",
        objects=1,
        object_bytes=1,
        parts={},
    )
    segment = "000000010000000000000003"
    return Chosen(
        place=place,
        kit=KIT,
        manifest=manifest,
        until=Until(to),
        archive=[Archived(place, f"wal/l/{segment}", segment, after(log))],
        newest=None,
    )


def keys(one: Chosen) -> set[str]:
    return {found.key for found in one.objects()}


def test_a_point_in_time_has_the_objects_of_its_lists_and_some_more(place: Folder) -> None:
    """No row is without its object; of objects more does no harm."""
    assert keys(chosen(place, to=None, log=1.5)) == {"old", "at1", "at2"}
    assert keys(chosen(place, to=after(2.5), log=2.8)) == {"old", "at1", "at2", "at3"}


@pytest.mark.parametrize(
    ("key", "seconds", "further"),
    [
        ("audit/checkpoints/0000000000000008.json", 60, True),
        ("audit/checkpoints/0000000000000008.json", -1, True),  # the store gives whole seconds
        ("audit/checkpoints/0000000000000007.json", 60, False),
        ("audit/checkpoints/0000000000000008.json", -3, False),
        ("files/0000000000000008.json", 60, False),
    ],
)
def test_what_the_audit_saw_later_than_the_log_goes_does_not_come_back(
    key: str, seconds: float, *, further: bool
) -> None:
    """Else it would call the end of the log cut off; of one that was cut before we know so."""
    made = entry(key, after(seconds / 60))
    assert Reached(7, AT).saw_further(made) is further


@pytest.mark.parametrize("minute", [1, 2, 3])
def test_a_list_that_is_lost_is_missed(place: Folder, minute: int) -> None:
    """The first one behind the backup, one between, and the newest."""
    place.delete(sweep_name("l", after(minute)))
    with pytest.raises(Damaged, match="list of objects"):
        keys(chosen(place, to=None, log=2.9))


def test_the_list_before_the_backup_may_be_gone(place: Folder) -> None:
    """What it names the backup has; older lists are deleted with older backups."""
    place.delete(sweep_name("l", after(-1)))
    assert "at3" in keys(chosen(place, to=None, log=2.9))
