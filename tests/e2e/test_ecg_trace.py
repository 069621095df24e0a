"""The ECG of a visit as a doctor and a patient see it: good and bad strips, played by a recorder."""

import asyncio
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

import numpy as np
import pytest
from house import House, wait_for
from playwright.sync_api import Browser, Page, expect
from room import SAMPLE, Room
from words import sentence

from devices.ecg_files.wfdb import read_record
from devices.frames import MISSING
from devices.recorder import FRAME_S, EcgRecorder, device_socket
from devices.simulate import stream_header

pytestmark = pytest.mark.browser

# So much was recorded before anybody looks: the signal has been judged when the faults begin.
BEFORE_S = 14.0
WITHIN_S = 3.0
PX_PER_MM = 96 / 25.4
SPEED_MM_S = 12.5
GUTTER_PX = 9 * PX_PER_MM


@dataclass(frozen=True)
class Fault:
    """What is wrong for a while, and what the patient is asked to do about it."""

    name: str
    coaching: str
    at_s: float
    until_s: float


FAULTS = (
    Fault("electrode", "reseat", BEFORE_S + 3, BEFORE_S + 5.6),
    Fault("muscle", "still", BEFORE_S + 9, BEFORE_S + 13),
    Fault("mains", "mains", BEFORE_S + 15, BEFORE_S + 19),
)


class Recorder:
    """A recorder on the table: it plays the sample with its faults at the pace of life."""

    def __init__(self, house: House, patient_id: str) -> None:
        record = read_record(SAMPLE)
        header = stream_header(record, record.lead("MLII"), uuid4())
        samples = record.samples[:, record.lead("MLII")].astype(float)
        at_s = np.arange(len(samples)) / header.rate_hz
        draw = np.random.default_rng(7)
        noise = {
            "mains": 0.45 * np.sin(2 * np.pi * 50 * at_s),
            "muscle": draw.normal(0, 0.3, len(samples)),
        }
        for fault in FAULTS:
            if fault.name in noise:
                during = (at_s >= fault.at_s) & (at_s < fault.until_s)
                samples[during] += noise[fault.name][during] * header.gain_per_mv
        self._recorder = EcgRecorder(
            device_socket(house.url),
            house.device(patient_id, "ecg")["token"],
            header,
            np.round(samples).astype(np.int16),
            started_at_us=0,
        )
        for fault in FAULTS:
            if fault.name == "electrode":
                self._recorder.pull_electrode(
                    round(fault.at_s / FRAME_S), round(fault.until_s / FRAME_S) - 1
                )
        self.stream = str(header.stream)
        self.rate_hz = header.rate_hz
        self.began_s = 0.0
        self._stop = threading.Event()
        self._playing = threading.Thread(target=lambda: asyncio.run(self._play()))

    async def _play(self) -> None:
        async with self._recorder as recorder:
            await recorder.linked()
            self.began_s = time.time() - BEFORE_S
            recorder.begin_at(round(self.began_s * 1e6))
            while not self._stop.is_set():
                recorded = int((time.time() - self.began_s) / FRAME_S)
                await recorder.offer(range(recorder.offered + 1, min(recorded, recorder.frames)))
                await asyncio.sleep(0.02)

    def __enter__(self) -> Self:
        self._playing.start()
        wait_for("the recorder's link", lambda: self.began_s)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._playing.join()


@pytest.fixture(scope="module")
def rooms(browser: Browser, house: House) -> Iterator[tuple[Room, Room]]:
    """Doctor and patient of a visit on its page, without a call."""
    visit = house.world["visits"][1]
    with (
        Room(browser, house, visit["doctor_id"], visit["id"]) as doctor,
        Room(browser, house, visit["patient_id"], visit["id"]) as patient,
    ):
        for room, language in ((doctor, "en"), (patient, "ru")):
            room.sign_in()
            room.enter()
            room.speak(language)
        yield doctor, patient
        assert doctor.errors == []
        assert patient.errors == []


WATCH = """() => {
    const seen = (window.seenCoaching = []);
    const place = document.querySelector('[data-testid=ecg-coach]');
    new MutationObserver(() => seen.push([
        place.dataset.coach, Date.now() / 1000, place.textContent.trim(),
    ])).observe(place, { attributes: true, childList: true, characterData: true, subtree: true });
}"""


def coached(page: Page, coaching: str, since_s: float, words: str) -> float | None:
    """When this coaching came after a moment in these words; None when it did not."""
    seen: list[tuple[str, float, str]] = page.evaluate("() => window.seenCoaching")
    return next(
        (s for code, s, text in seen if code == coaching and s >= since_s and words in text), None
    )


PIXELS = """([left, right]) => {
    const canvas = document.querySelector('canvas[data-ecg-stream]');
    const style = getComputedStyle(canvas);
    const ink = name => {
        const probe = new OffscreenCanvas(1, 1).getContext('2d');
        probe.fillStyle = style.getPropertyValue(`--ecg-${name}`).trim();
        probe.fillRect(0, 0, 1, 1);
        return probe.getImageData(0, 0, 1, 1).data;
    };
    const trace = ink('trace');
    const ratio = canvas.width / canvas.getBoundingClientRect().width;
    const [from, to] = [Math.ceil(left * ratio), Math.floor(right * ratio)];
    const { data } = canvas.getContext('2d').getImageData(from, 0, to - from, canvas.height);
    let found = 0;
    for (let i = 0; i < data.length; i += 4) {
        const near = (a, b) => Math.abs(a - b) < 24;
        if (near(data[i], trace[0]) && near(data[i + 1], trace[1]) && near(data[i + 2], trace[2])) {
            found += 1;
        }
    }
    return found;
}"""


def test_each_fault_is_coached_within_three_seconds_in_three_languages(
    rooms: tuple[Room, Room], house: House
) -> None:
    """A good signal asks nothing; a pulled electrode, hum and muscles ask for the right thing, and go."""
    doctor, patient = rooms
    with Recorder(house, patient.person["id"]) as recorder:
        for room in rooms:
            expect(room.page.locator(f'[data-ecg-stream="{recorder.stream}"]')).to_be_visible()
            expect(room.page.locator("[data-heart-rate]")).to_have_attribute("data-quality", "good")
            room.page.evaluate(WATCH)
            expect(room.page.get_by_test_id("ecg-coach")).to_have_attribute("data-coach", "")
        # The doctor reads English; the patient each sentence in both other languages.
        patient.page.locator("header button[aria-haspopup=dialog]").click()
        menu = patient.page.get_by_role("dialog")
        language, other = "ru", "tt"
        for fault in FAULTS:
            onset_s = recorder.began_s + fault.at_s

            def told(room: Room, spoken: str, f: Fault = fault, since_s: float = onset_s) -> float:
                words = sentence(spoken, f"visit.ecg_coach_{f.coaching}")
                return wait_for(
                    f"{f.coaching} for {f.name} in {spoken}",
                    lambda: coached(room.page, f.coaching, since_s, words),
                )

            for seen_s in (told(patient, language), told(doctor, "en")):
                print(f"{fault.name}: {seen_s - onset_s:.2f} s")
                assert seen_s - onset_s <= WITHIN_S
            menu.locator(f"input[type=radio][value={other}]").check(force=True)
            told(patient, other)
            language, other = other, language
        patient.page.keyboard.press("Escape")


def frozen(room: Room) -> dict[str, Any]:
    """Freeze at the slowest speed: half a minute in view, the pulled electrode in its middle."""
    room.page.locator(f'input[type=radio][value="{SPEED_MM_S}"]').check(force=True)
    room.page.get_by_role("button", name=sentence("en", "ecg.freeze")).click()
    seen = room.ecg()
    assert seen is not None
    return seen


def test_a_frozen_strip_is_measured_by_keyboard_and_attached_and_its_gap_stays_a_gap(
    rooms: tuple[Room, Room],
) -> None:
    """No trace between the samples around the electrode; 10 and 100 ms a key; the patient has the strip."""
    doctor, _ = rooms
    page = doctor.page
    seen = frozen(doctor)
    view = np.array(seen["samples"])[seen["from"] - seen["first"] : seen["to"] - seen["first"]]
    (missing,) = np.nonzero(view == MISSING)
    first_x, after_x = (
        GUTTER_PX + at / seen["rateHz"] * SPEED_MM_S * PX_PER_MM
        for at in (missing[0], missing[-1] + 1)
    )
    width = after_x - first_x
    assert page.evaluate(PIXELS, [first_x + 2, after_x - 2]) == 0
    assert page.evaluate(PIXELS, [first_x - width, first_x - 2]) > width
    assert page.evaluate(PIXELS, [after_x + 2, after_x + width]) > width
    lanes = page.get_by_test_id("ecg-lanes")
    expect(lanes).to_have_attribute("data-whole", "true")
    expect(lanes.locator('[data-quality="lead_off"]').first).to_be_attached()

    page.get_by_test_id("ecg-measure").click()
    between = page.get_by_test_id("caliper-between")
    page.locator("[data-marker=first]").focus()
    page.keyboard.press("ArrowLeft")
    before_ms = int(between.get_attribute("data-ms") or 0)
    page.keyboard.press("Shift+ArrowLeft")
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    expect(between).to_have_attribute("data-ms", str(before_ms + 120))
    beat = f"{60_000 / (before_ms + 120):.0f}" if 200 <= before_ms + 120 <= 6000 else ""
    expect(between).to_have_attribute("data-bpm", beat)
    page.locator("[data-marker=upper]").focus()
    before_mv = float(between.get_attribute("data-mv") or 0)
    page.keyboard.press("Shift+ArrowUp")
    ten_px = 10 / (10 * PX_PER_MM)
    assert float(between.get_attribute("data-mv") or 0) == pytest.approx(
        before_mv + ten_px, abs=0.02
    )

    page.get_by_test_id("strip-attach").click()
    form = page.get_by_test_id("strip-dialog")
    form.locator("input:not([type=radio])").fill("Электрод отходил")
    form.locator("button[type=submit]").click()
    expect(form).to_have_count(0)
    for room in rooms:
        strip = room.page.locator("[data-strip-id]")
        expect(strip).to_have_count(1)
        expect(strip).to_contain_text("Электрод отходил")
        for link, kind in zip(
            strip.locator("a").all(), ("image/svg+xml", "application/pdf"), strict=True
        ):
            answer = room.page.request.get(room.house.url + str(link.get_attribute("href")))
            assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, kind)
