"""`kill -9` of a real worker in the middle of a recording, with a real teacher's media."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from rtc.recording import mp4
from storage.objects import Objects
from storage.settings import Settings
from tests.rtc.recording_live import kill_and_restart, recorded_lesson
from tests.rtc.recording_source import Film


def test_a_worker_is_back_before_it_loads_the_store_s_client() -> None:
    """That takes a quarter of a second of the lesson, and the first segment can wait for it."""
    look = "import sys, rtc.worker; print({'minio', 'urllib3'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


async def test_a_killed_worker_costs_a_few_seconds_and_says_so(
    stores: Settings, objects: Objects
) -> None:
    """The successor's segments go on where the whole chunks end; everything decodes."""
    room = f"lesson-{uuid4().hex}"
    with tempfile.TemporaryDirectory(prefix="rec-", dir="/tmp") as home:
        async with recorded_lesson(stores, Path(home), room) as (worker, house):
            assert house.recording is not None
            began = house.recording.started_at
            await house.until(lambda: len(house.segments) >= 2, 60)
            away_s = await kill_and_restart(worker, house)
            before = house.segments[-1].start_ms
            await house.until(lambda: house.segments[-1].start_ms >= before + 7000, 60)
            house.end()
            elapsed_ms = (time.time() - began) * 1000
            await house.until(lambda: house.end_ms is not None, 20)
            segments, end_ms = house.segments, house.end_ms
            await house.stats()  # the last acknowledgement has been heard
            spool = Path(home) / "spool"
            assert list(spool.iterdir()) == []
    assert end_ms is not None
    assert abs(end_ms - elapsed_ms) < 500
    at = 0
    for each in segments:
        assert each.start_ms == at
        at += each.duration_ms
    assert at == end_ms
    lost = sum(each.lost_ms for each in segments)
    assert 1000 * away_s - 200 <= lost <= 1000 * away_s + 2500
    data = mp4.INIT
    for each in segments:
        data += await objects.get(f"lessons/{room}/take-1/{each.start_ms:010d}.m4s")
    film = Film(data)
    film.assert_whole(0, end_ms)
    seen = zip(film.pictures, film.luma, strict=True)
    black = sum(length for (_, length, *_), luma in seen if luma == 16)
    print(f"away {away_s:.1f} s, lost {lost} ms, black {black:.2f} s of {end_ms / 1000:.1f} s")
    assert black <= lost / 1000 + 2
