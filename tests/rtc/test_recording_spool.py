"""Segments reach the store whatever happens: outage, kill, full disk; nothing is told too early."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from rtc.messages import (
    SegmentStored,
    TakeClosed,
    TakeStored,
)
from rtc.recording import mp4, recovery, spool
from rtc.recording.spool import Spool
from storage.objects import Objects
from storage.s3 import S3Objects
from storage.settings import S3Place, Settings
from tests.rtc.recording_source import Camera, Film, Microphone, Studio
from tests.rtc.recording_store import Distant, Moody, Road, Told

ROOT = Path(__file__).parents[2]
MOUNTS = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The waits between attempts are no part of what is tested here."""
    monkeypatch.setattr(spool, "RETRY_S", 0.05)
    monkeypatch.setattr(spool, "LONGEST_RETRY_S", 0.1)


def lesson(folder: Path, spool: Spool) -> Studio:
    """A room of its own name, because the bucket is everybody's."""
    room = f"room-{uuid4().hex}"
    studio = Studio(folder, spool=spool, room=room)
    studio.on("camera", Camera())
    studio.on("voice", Microphone())
    return studio


def make_segments(spool: Spool, room: str, count: int) -> None:
    """As many segments of 2.5 s; what is in them is of no matter."""
    folder = spool.take(room, "take-1")
    for n in range(count):
        folder.begin(2500 * n, 0)
        folder.append(b"picture and voice", b"voice")
        folder.finish(2500 * (n + 1), 0)


async def stored_film(objects: Objects, told: Told) -> tuple[Film, Film]:
    """What lies in the store of the segments that were announced, as a player reads it."""
    both, voice = b"", b""
    for each in told.segments:
        name = f"lessons/{each.room}/{each.take}/{each.start_ms:010d}"
        parts = await objects.get(f"{name}.m4s"), await objects.get(f"{name}.a.m4s")
        assert (len(parts[0]), len(parts[1])) == (each.size, each.audio_size)
        both, voice = both + parts[0], voice + parts[1]
    first = told.segments[0]
    prefix = f"lessons/{first.room}/{first.take}"
    inits = await objects.get(f"{prefix}/init.mp4"), await objects.get(f"{prefix}/init.a.mp4")
    assert inits == (mp4.INIT, mp4.VOICE_INIT)
    return Film(inits[0] + both), Film(inits[1] + voice)


def assert_in_order(told: Told, end_ms: int) -> None:
    """Every segment once, each where the one before ended, then the take."""
    at = 0
    for each in told.segments:
        assert each.start_ms == at
        at += each.duration_ms
    assert at == end_ms
    assert told.takes[-1].end_ms == end_ms
    assert isinstance(told.messages[-1], TakeClosed)


async def test_segments_lie_in_the_store_in_order_and_then_the_take_is_closed(
    tmp_path: Path, objects: Objects
) -> None:
    """Acknowledged, nothing of it is left on the disk."""
    told = Told()
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        studio = lesson(tmp_path, told.spool)
        studio.run(9)
        studio.close()
        await told.until(lambda: bool(told.takes))
    assert_in_order(told, 9000)
    film, voice = await stored_film(objects, told)
    film.assert_whole(0, 9000)
    voice.assert_whole(0, 9000)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 - no path is walked


async def test_what_is_not_acknowledged_is_told_again(tmp_path: Path, objects: Objects) -> None:
    """By itself, and at once at a new link; the take is not closed before its segments."""
    told = Told(acknowledges=False)
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        studio = lesson(tmp_path, told.spool)
        studio.run(5)
        studio.close()
        count = len(studio.segments)
        await told.until(lambda: len(told.segments) == count)
        told.spool.announce()
        assert told.segments[count:] == told.segments[:count]
        await told.until(lambda: len(told.segments) >= 3 * count)
        assert told.takes == []
        for each in told.segments[:count]:
            told.spool.stored(SegmentStored(each.room, each.take, each.start_ms))
        assert len(told.takes) == 1
        told.spool.announce()
        assert len(told.takes) == 2
        told.spool.stored(TakeStored(studio.room, "take-1"))
        told.spool.announce()
        assert len(told.takes) == 2


@pytest.mark.parametrize("fault", ["cut", "hanging"])
async def test_a_store_away_for_a_minute_gets_everything_later(
    tmp_path: Path, stores: Settings, objects: Objects, fault: str
) -> None:
    """Nothing is announced meanwhile; afterwards all of it, in order."""
    told = Told()
    road = Road(int(stores.s3_endpoint.rsplit(":", 1)[1]))
    async with road.laid() as port:
        place = S3Place(f"http://127.0.0.1:{port}", stores.s3_access_key, stores.s3_secret_key)
        far = S3Objects(replace(stores, outside_objects=place), call_within_s=0.5)
        async with Spool(tmp_path, lambda: far, told) as told.spool:
            studio = lesson(tmp_path, told.spool)
            studio.run(5)
            await told.until(lambda: bool(told.segments))
            road.change(fault)
            road.refused.clear()
            before = len(told.segments)
            studio.run(60)
            await asyncio.wait_for(road.refused.wait(), 10)
            assert len(told.segments) == before
            assert len(studio.segments) >= 20
            road.change("open")
            studio.run(5)
            studio.close()
            await told.until(lambda: bool(told.takes))
        far.close()
    assert_in_order(told, 70_000)
    film, _ = await stored_film(objects, told)
    film.assert_whole(0, 70_000)
    assert {each.lost_ms for each in told.segments} == {0}


async def test_twenty_lessons_keep_up_with_a_distant_store(
    tmp_path: Path, stores: Settings
) -> None:
    """What they record in some seconds is there before these are over, each take in its order."""
    told, far = Told(), Distant(stores)
    rooms = [f"room-{uuid4().hex}" for _ in range(20)]
    async with Spool(tmp_path, lambda: far, told) as told.spool:
        for room in rooms:
            make_segments(told.spool, room, 3)
        await told.until(lambda: len(told.segments) == 60, timeout_s=7.5)
    far.close()
    for room in rooms:
        starts = [each.start_ms for each in told.segments if each.room == room]
        assert starts == [0, 2500, 5000]


async def test_a_take_that_does_not_go_up_keeps_no_other_waiting(
    tmp_path: Path, stores: Settings
) -> None:
    """Not even when there are more of them than go up at once."""
    told, moody = Told(), Moody(stores)
    async with Spool(tmp_path, lambda: moody, told) as told.spool:
        for n in range(spool.PUTS_AT_ONCE + 2):
            make_segments(told.spool, f"bad-{n}", 1)
        good = f"room-{uuid4().hex}"
        make_segments(told.spool, good, 3)
        await told.until(lambda: len(told.segments) == 3)
    moody.close()
    assert {each.room for each in told.segments} == {good}


async def test_a_take_that_cannot_be_taken_up_is_left_as_it_is(
    tmp_path: Path, objects: Objects
) -> None:
    """The worker starts, and the other takes go up."""
    bad = tmp_path / "room" / "bad" / "0000000000.0.part"
    bad.mkdir(parents=True)
    good = f"room-{uuid4().hex}"
    make_segments(Spool(tmp_path, lambda: objects, Told()), good, 2)
    told = Told()
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        await told.until(lambda: len(told.segments) == 2)
    assert {each.room for each in told.segments} == {good}
    assert bad.is_dir()


async def test_a_take_called_closed_goes_on_where_it_ended(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API knows better, and the room comes late."""
    monkeypatch.setattr(spool, "ORPHAN_S", 0.0)
    told = Told()
    told.take_runs = True
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        studio = lesson(tmp_path, told.spool)
        studio.run(7.3)
        studio.recorder.suspend(studio.now)
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        told.spool.announce()
        await told.until(lambda: bool(told.takes))
        studio.spool = told.spool
        studio.advance(40)
        studio.record()
        studio.run(5)
        told.take_runs = False
        studio.close()
        await told.until(lambda: not list(tmp_path.glob("*/*")))
    assert_in_order(told, told.takes[-1].end_ms)
    assert told.takes[-1].end_ms == 52_300


async def test_a_successor_takes_up_what_a_killed_worker_left(
    tmp_path: Path, objects: Objects
) -> None:
    """The half chunk is cut off, the hole is black and told, the line goes on."""
    first = Told()
    abandoned = Spool(tmp_path, lambda: objects, first)
    studio = lesson(tmp_path, abandoned)
    studio.run(7.3)
    part = next(studio.take_folder.glob("*.part"))
    with part.open("ab") as file:
        file.write(b"\0\0\4\0moof" + bytes(99))
    told = Told()
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        studio.spool = told.spool
        studio.off("camera")
        studio.off("voice")
        studio.advance(1.5)
        studio.record()
        studio.run(0.5)
        studio.on("camera", Camera(640, 360))
        studio.on("voice", Microphone())
        studio.run(5)
        studio.close()
        await told.until(lambda: bool(told.takes))
    assert_in_order(told, 14_300)
    film, voice = await stored_film(objects, told)
    film.assert_whole(0, 14_300)
    voice.assert_whole(0, 14_300)
    for each in told.segments:
        name = f"lessons/{each.room}/{each.take}/{each.start_ms:010d}.m4s"
        found = recovery.read(await objects.get(name), picture=True)
        assert found.size == each.size
        assert found.video_end == 90 * (each.start_ms + each.duration_ms)
    lost = sum(each.lost_ms for each in told.segments)
    assert 2000 <= lost <= 3500
    seen = zip(film.pictures, film.luma, strict=True)
    black = sum(length for (_, length, *_), luma in seen if luma == 16)
    assert 2000 <= 1000 * black <= lost + 20


async def test_a_worker_that_stops_in_order_loses_only_its_absence(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the take to the next one, and does not call it closed."""
    told = Told()
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        studio = lesson(tmp_path, told.spool)
        studio.run(7.3)
        studio.recorder.suspend(studio.now)
        count = len(studio.segments)
        await told.until(lambda: len(told.segments) == count)
    assert told.takes == []
    monkeypatch.setattr(spool, "ORPHAN_S", 0.0)
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        studio.spool = told.spool
        studio.advance(2)
        studio.record()
        told.spool.announce()
        studio.run(5)
        await told.until(lambda: len(told.segments) > count)
        assert told.takes == []
        studio.close()
        await told.until(lambda: bool(told.takes))
    assert_in_order(told, 14_300)
    assert 1900 <= sum(each.lost_ms for each in told.segments) <= 2600


async def test_a_take_that_nobody_goes_on_with_is_closed_as_it_lies(
    tmp_path: Path, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The teacher stopped while the worker was away."""
    monkeypatch.setattr(spool, "ORPHAN_S", 0.1)
    studio = lesson(tmp_path, Spool(tmp_path, lambda: objects, Told()))
    studio.run(7.3)
    told = Told()
    async with Spool(tmp_path, lambda: objects, told) as told.spool:
        await told.until(lambda: bool(told.segments))
        assert told.takes == []
        told.spool.announce()
        await told.until(lambda: bool(told.takes))
    end_ms = told.segments[-1].start_ms + told.segments[-1].duration_ms
    assert_in_order(told, end_ms)
    assert 6000 <= end_ms <= 7300


async def test_a_worker_without_the_spool_of_the_one_before_overwrites_nothing(
    tmp_path: Path, objects: Objects
) -> None:
    """Its filling for what it did not record gives way to what the store has."""
    told = Told()
    async with Spool(tmp_path / "one", lambda: objects, told) as told.spool:
        studio = lesson(tmp_path / "one", told.spool)
        studio.run(9)
        count = len(studio.segments)
        await told.until(lambda: len(told.segments) == count)
    kept = await stored_film(objects, told)
    first = list(told.segments)
    async with Spool(tmp_path / "two", lambda: objects, told) as told.spool:
        studio.spool, studio.folder = told.spool, tmp_path / "two"
        studio.record()
        studio.run(5)
        studio.close()
        await told.until(lambda: bool(told.takes))
    again = Told()
    again.messages = list(first)
    film, _ = await stored_film(objects, again)
    assert [data for *_, data in film.pictures] == [data for *_, data in kept[0].pictures]
    later = [each for each in told.segments[len(first) :] if each.lost_ms < each.duration_ms]
    assert all(each.start_ms >= first[-1].start_ms + first[-1].duration_ms for each in later)


@pytest.mark.parametrize("name", [".", ".."])
def test_a_take_has_no_folder_outside_the_spool(
    tmp_path: Path, objects: Objects, name: str
) -> None:
    """These names are allowed on the link."""
    here = Spool(tmp_path, lambda: objects, Told())
    with pytest.raises(ValueError, match="has no folder"):
        here.take(name, "take")
    with pytest.raises(ValueError, match="has no folder"):
        here.take("room", name)


def test_a_full_disk_costs_what_it_could_not_take(tmp_path: Path) -> None:
    """The take goes on when there is room; the loss is told and the whole decodes."""
    disk, out = tmp_path / "disk", tmp_path / "film"
    disk.mkdir()
    program = f"exec {sys.executable} -m tests.rtc.recording_small_disk {disk} {out}"
    done = subprocess.run(
        [*MOUNTS, "sh", "-c", f"mount -t tmpfs -o size=2m none {disk} && {program}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "full"
    at, lost = 0, 0
    for line in said[1:]:
        start, duration, missing = map(int, line.split())
        assert start == at
        at, lost = at + duration, lost + missing
    assert at == 20_000
    assert 4000 <= lost <= 7000
    Film(mp4.INIT + out.read_bytes()).assert_whole(0, 20_000)
