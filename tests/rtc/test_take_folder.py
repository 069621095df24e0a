"""A take's folder: what a power cut leaves, how full the disk may be, what is never listed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtc.recording import mp4, recovery
from rtc.recording.line import Line
from rtc.recording.opus import SILENCE, SILENCE_TICKS
from rtc.recording.programme import BLACK
from rtc.recording.take_folder import Segment, TakeFolder
from rtc.worker import spool_of
from storage.settings import Settings
from tests.rtc.recording_source import Camera, Film, Microphone, Studio

ROOT = Path(__file__).parents[2]
MOUNTS = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
LEAST_FREE = 4 << 20
SIXTY_MS, SIXTY_TICKS = b"\x18" + b"\1" * 20, 2880


def opened(path: Path) -> TakeFolder:
    """The folder as a worker finds it."""
    return TakeFolder(path / "take-1", "room-1", "take-1", lambda: None)


def filled(path: Path, segments: int) -> TakeFolder:
    """With so many whole segments of two seconds."""
    folder = opened(path)
    for start_ms in range(0, 2000 * segments, 2000):
        folder.begin(start_ms, 0)
        folder.append(b"both", b"voice")
        folder.finish(start_ms + 2000, 0)
    return folder


def names(folder: TakeFolder) -> list[str]:
    """Of all files that are there."""
    return sorted(os.listdir(folder.path))  # noqa: PTH208 - Path may not list here


def test_what_is_acknowledged_and_begun_is_found_without_a_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage leaves thousands of files; the index's mark and the take's end are remembered."""
    first = filled(tmp_path, 50)
    one, two, three = (first.waiting.popleft() for _ in range(3))
    first.forget(one)
    first.over(100_000)
    successor = opened(tmp_path)
    monkeypatch.setattr(Path, "glob", None)  # whoever lists now, fails
    successor.forget(three)
    successor.forget(two)  # heard in another order
    successor.begin(100_000, 0)
    marks = [name for name in names(successor) if name.endswith((".done", ".over"))]
    assert marks == ["0000004000.2000.done"]


@pytest.mark.parametrize("name", ["0000004000.2000.0.m4s", "0000004000.a.m4s"])
def test_a_segment_that_a_power_cut_left_empty_is_not_there(tmp_path: Path, name: str) -> None:
    """Otherwise it would count as indexed, or wait for the index for ever."""
    os.truncate(filled(tmp_path, 3).path / name, 0)
    found = opened(tmp_path)
    assert list(found.waiting) == [Segment(0, 2000, 0), Segment(2000, 2000, 0)]
    assert found.end_ms == 4000
    assert not [each for each in names(found) if each.startswith("0000004000")]


@pytest.mark.parametrize("is_there", [True, False])
def test_an_open_segment_whose_voice_a_power_cut_took_is_not_there(
    tmp_path: Path, *, is_there: bool
) -> None:
    """The take goes on behind the one before it."""
    studio = Studio(tmp_path)
    studio.on("camera", Camera())
    studio.on("voice", Microphone())
    studio.run(7.3)
    start_ms = int(next(studio.take_folder.glob("*.part")).name.split(".")[0])
    voice = studio.take_folder / f"{start_ms:010d}.a.m4s"
    voice.unlink()
    if is_there:
        voice.touch()
    found = opened(tmp_path / "room-1")
    assert found.end_ms == start_ms
    assert not [each for each in names(found) if each.startswith(f"{start_ms:010d}")]


@pytest.mark.parametrize(("until_cut_ms", "ends"), [(20, [2000, 2060]), (60, [2000])])
def test_a_packet_across_the_last_cut_leaves_no_segment_without_a_sound(
    tmp_path: Path, until_cut_ms: int, ends: list[int]
) -> None:
    """One of no bytes is none for the index, and the take would never be closed."""
    folder = opened(tmp_path)
    line = Line(folder, 0, 0)
    line.show(0, BLACK, key=True)
    while line.voice < (2000 - until_cut_ms) * 48:
        line.say(SILENCE_TICKS, SILENCE)
    line.show(2000, BLACK, key=True)
    line.say(SIXTY_TICKS, SIXTY_MS)
    assert line.end() == ends[-1]
    assert [each.end_ms for each in folder.waiting] == ends
    assert all((folder.path / each.voice_name).stat().st_size for each in folder.waiting)


def test_the_spool_leaves_the_database_its_room(tmp_path: Path) -> None:
    """A disk with less than that counts as full though there is room; the loss is told."""
    disk, out = tmp_path / "disk", tmp_path / "film"
    disk.mkdir()
    program = f"exec {sys.executable} -m tests.rtc.recording_small_disk {disk} {out} {LEAST_FREE}"
    done = subprocess.run(
        [*MOUNTS, "sh", "-c", f"mount -t tmpfs -o size=8m none {disk} && {program}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "full"
    segments = [tuple(map(int, line.split())) for line in said[1:]]
    assert 2000 <= sum(lost for *_, lost in segments) <= 6000
    Film(mp4.INIT + out.read_bytes()).assert_whole(0, 20_000)


@pytest.mark.parametrize("spoiled_from", [24, 28, 76, 80])
def test_a_chunk_that_a_power_cut_spoiled_does_not_count_nor_hang(spoiled_from: int) -> None:
    """Zeros or ones in the midst of its head: what is before it is kept, what follows is not."""
    sounds = [mp4.Sound(at, SILENCE_TICKS, SILENCE) for at in range(0, 9600, 960)]
    whole = mp4.voice_chunk(1, sounds)
    spoiled = mp4.voice_chunk(2, [each._replace(start=each.start + 9600) for each in sounds])
    for filling in (b"\0", b"\xff"):
        cut = spoiled[:spoiled_from] + 8 * filling + spoiled[spoiled_from + 8 :]
        found = recovery.read(whole + cut, picture=False)
        assert (found.size, found.sequence, found.audio_end) == (len(whole), 1, 9600)


def test_the_first_worker_takes_over_what_a_worker_that_is_no_more_has_left(tmp_path: Path) -> None:
    """Of three workers one is left: every take lies in its spool, and none is written over."""
    homes = {0: "spool", 1: "spool-1", 2: "spool-2"}
    for number, room, take in [(0, "a", "1"), (1, "a", "2"), (2, "b", "3"), (2, "a", "1")]:
        place = tmp_path / homes[number] / room / take
        place.mkdir(parents=True)
        (place / "of").write_text(str(number))
    assert spool_of(Settings(tmp_path, rtc_workers=2), 1) == tmp_path / "spool-1"
    own = spool_of(Settings(tmp_path, rtc_workers=1), 0)
    found = {str(of.parent.relative_to(own)): of.read_text() for of in own.glob("*/*/of")}
    assert found == {"a/1": "0", "a/2": "1", "b/3": "2"}
    assert (tmp_path / "spool-2" / "a" / "1" / "of").read_text() == "2"
    assert not (tmp_path / "spool-1").exists()
