"""From the teacher's camera to the screen of somebody who watches by HLS, in seconds.

The whole product runs with two Chromium. The teacher's camera is a clip whose frames carry their
number as eight black or white blocks; both screens are read at the same moment, and the difference
of the numbers is the delay: no clock of ours is believed.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, Playwright, expect, sync_playwright

from bench.harness import Row, at_most, percentile

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "e2e"))

from classroom import Desk, in_a_lesson, record
from conftest import FAKE_MEDIA, launch
from house import House, wait_for

BITS = 8
FRAME_RATE = 8  # 2^8 numbers at 8 a second: 32 s until they repeat
WIDTH, HEIGHT = 640, 480
DELAY_S = 10.0
TEACHER, VIEWER = "teacher.zulfiya", "pupil.sofia"
SAMPLES = 20
SAMPLE_EVERY_S = 1.0

READ = """(bits) => {
    const video = [...document.querySelectorAll('video')].find((v) => v.videoWidth > 0);
    if (!video) return null;
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0);
    let number = 0;
    for (let bit = 0; bit < bits; bit += 1) {
        const x = Math.round(canvas.width * (bit + 0.5) / bits);
        const [red] = context.getImageData(x, canvas.height / 2, 1, 1).data;
        number = number * 2 + (red > 127 ? 1 : 0);
    }
    return { number, at: Date.now() };
}"""


def write_numbers(path: Path) -> None:
    """A clip of 2^BITS frames; frame n shows n in BITS blocks (Y4M)."""
    chroma = np.full(WIDTH * HEIGHT // 2, 128, dtype=np.uint8).tobytes()
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FRAME_RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for n in range(1 << BITS):
            bits = [235 if n >> (BITS - 1 - i) & 1 else 16 for i in range(BITS)]
            row = np.repeat(np.array(bits, dtype=np.uint8), WIDTH // BITS)
            file.write(b"FRAME\n" + np.tile(row, HEIGHT).tobytes() + chroma)


def measure() -> list[Row]:
    """The row of the delay."""
    house = House.fresh()
    try:
        house.start()
        house.seed()
        with tempfile.TemporaryDirectory(prefix="hls-") as folder, sync_playwright() as driver:
            clip = Path(folder) / "numbers.y4m"
            write_numbers(clip)
            return delays(house, driver, clip)
    finally:
        house.stop()
        house.remove()


def delays(house: House, driver: Playwright, clip: Path) -> list[Row]:
    """Starts a recorded lesson and compares both screens `SAMPLES` times."""
    camera = launch(driver, *FAKE_MEDIA, f"--use-file-for-fake-video-capture={clip}")
    with (
        in_a_lesson(camera, house, TEACHER) as (teacher, _),
        Desk(launch(driver), house, VIEWER, teacher.lesson_id) as viewer,
    ):
        number_on(teacher.page)
        record(teacher)
        viewer.sign_in()
        viewer.page.goto(f"{house.url}/#/lessons/{teacher.lesson_id}/watch")
        watch = viewer.at("watch")
        wait_for("the viewer's first picture", lambda: viewer.page.evaluate(READ, BITS), 60)
        expect(watch).to_have_attribute("data-state", "recording")
        found: list[float] = []
        told: list[float] = []
        while len(found) < SAMPLES:
            time.sleep(SAMPLE_EVERY_S)
            found.append(delay_s(number_on(teacher.page), number_on(viewer.page)))
            told.append(float(watch.get_attribute("data-delay-ms") or 0) / 1e3)
    return [
        at_most("hls.delay", percentile(found, 0.95), "s, p95, camera to screen", bar=DELAY_S),
        Row("hls.delay_p50", percentile(found, 0.5), "s"),
        Row("hls.delay_told", percentile(told, 0.5), "s, as the page says"),
    ]


def number_on(page: Page) -> dict[str, Any]:
    """The number this screen shows; a picture that is being taken up anew is waited for."""
    found: dict[str, Any] = wait_for("a picture", lambda: page.evaluate(READ, BITS))
    return found


def delay_s(here: dict[str, Any], there: dict[str, Any]) -> float:
    """Seconds the second screen is behind the first, less what passed between both looks."""
    behind = (here["number"] - there["number"]) % (1 << BITS) / FRAME_RATE
    return float(behind + (there["at"] - here["at"]) / 1000)
