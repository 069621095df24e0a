"""People in the visit room: a browser context each, and the devices that measure for them."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import numpy as np
from house import ROOT, House, wait_for
from numpy.typing import NDArray
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from devices.ecg_files.wfdb import read_record

SAMPLE = ROOT / "devices" / "samples" / "100_2min"
LOCALES = {"ru": "ru-RU", "tt": "tt-RU", "en": "en-GB"}


def recorded(lead: str = "MLII") -> NDArray[np.int16]:
    """The samples of the recording that the demo recorder plays, in ADC units."""
    record = read_record(SAMPLE)
    index = [row.name for row in record.leads].index(lead)
    return np.asarray(record.samples[:, index], dtype=np.int16)


class Guest:
    """A person with a browser of his own, driven by what a person sees and can press."""

    def __init__(self, browser: Browser, house: House, person_id: str, **context: Any) -> None:
        self.house = house
        self.person = house.person(person_id)
        self.context: BrowserContext = browser.new_context(
            **{"locale": LOCALES["ru"], "viewport": {"width": 1280, "height": 900}, **context}
        )
        self.page: Page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def sign_in(self) -> None:
        """Sign in by the form, as a person does, and arrive at my day."""
        self.page.goto(self.house.url + "/")
        self.page.locator("input[name=login]").fill(self.person["login"])
        self.page.locator("input[name=password]").fill(self.person["password"])
        self.page.locator("form button[type=submit]").click()
        expect(self.page).to_have_url(re.compile(r"#/day"))

    def speak(self, language: str) -> None:
        """Choose the language in the menu, as a person does."""
        self.page.locator("header button[aria-haspopup=dialog]").click()
        menu = self.page.get_by_role("dialog")
        menu.locator(f"input[type=radio][value={language}]").check(force=True)
        expect(self.page.locator("html")).to_have_attribute("lang", language)
        self.page.keyboard.press("Escape")
        expect(menu).to_have_count(0)

    @property
    def trouble(self) -> Locator:
        """The banner's place; `data-state` names the trouble or none."""
        return self.page.get_by_test_id("trouble")

    def watch_troubles(self) -> None:
        """Remember every trouble the page names from now on, however short."""
        self.page.evaluate(
            """() => {
                const seen = (window.seenTroubles = []);
                const place = document.querySelector('[data-testid=trouble]');
                new MutationObserver(() => seen.push(place.dataset.state)).observe(place, {
                    attributes: true, attributeFilter: ['data-state'] });
            }"""
        )

    def troubles(self) -> list[str]:
        """Troubles named since `watch_troubles`, in order; none is the end of one."""
        return list(self.page.evaluate("() => window.seenTroubles"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


class Room(Guest):
    """A signed-in person on the page of one visit."""

    def __init__(
        self, browser: Browser, house: House, person_id: str, visit_id: str, **context: Any
    ) -> None:
        super().__init__(browser, house, person_id, **context)
        self.visit_id = visit_id

    def enter(self) -> None:
        """Follow the day's link into the visit."""
        self.page.locator(f'a[href="#/visits/{self.visit_id}"]').click()
        expect(self.page.get_by_test_id("visit")).to_be_visible()

    def join(self) -> None:
        """Press the main button: camera and microphone."""
        self.call.locator("button").first.click()
        expect(self.call).to_have_attribute("data-joined", "camera")

    @property
    def call(self) -> Locator:
        """The call panel with its states."""
        return self.page.get_by_test_id("call")

    def frames_decoded(self) -> int:
        """framesDecoded of this browser's statistics, over all connections of this page."""
        text = self.page.get_by_test_id("remote").get_attribute("data-frames-decoded")
        return int(text or 0)

    def frames_presented(self) -> int:
        """Frames that the video element itself has had: the page's own counting left aside."""
        return int(
            self.page.evaluate(
                """() => [...document.querySelectorAll('[data-testid=remote] video')]
                .reduce((sum, v) => sum + v.getVideoPlaybackQuality().totalVideoFrames, 0)"""
            )
        )

    def sees_the_other(self, timeout_s: float = 15.0) -> None:
        """Wait until a second's worth of new frames is decoded: the other's picture moves."""
        start = self.frames_decoded()
        wait_for(
            f"{self.person['name']} sees a moving picture",
            lambda: self.frames_decoded() >= start + 20,
            timeout_s,
        )

    def ecg(self) -> dict[str, Any] | None:
        """What the canvas holds and has drawn."""
        found = self.page.evaluate(
            "() => document.querySelector('canvas[data-ecg-stream]')?.yanashaSamples?.() ?? null"
        )
        return None if found is None else dict(found)

    def whole_trace(
        self, beyond: int, timeout_s: float = 30.0, *, since: int | None = None
    ) -> dict[str, Any]:
        """What the canvas holds once it has no hole, reaches past frame `beyond` and back to `since`."""

        def whole() -> dict[str, Any] | None:
            found = self.ecg()
            ranges = found["sequences"] if found else []
            whole = len(ranges) == 1 and ranges[0][1] > beyond
            return found if whole and (since is None or ranges[0][0] <= since) else None

        return wait_for("a trace without a hole", whole, timeout_s)  # type: ignore[return-value]

    def ecg_fact(self, name: str) -> str | None:
        """A data attribute of the ECG panel, such as last-sequence or delay-p95-ms."""
        panel = self.page.locator("[data-ecg-stream]")
        return panel.get_attribute(f"data-ecg-{name}") if panel.count() else None

    def last_sequence(self) -> int:
        """Number of the newest ECG frame on this page, -1 without one."""
        return int(self.ecg_fact("last-sequence") or -1)

    def reading(self, sequence: int, kind: str = "blood_pressure") -> Locator:
        """The rows of readings with this device sequence."""
        return self.page.locator(
            f'[data-testid=readings] [data-kind="{kind}"][data-sequence="{sequence}"]'
        )

    def reading_ids(self) -> set[str]:
        """Ids of all readings on the page, the older ones unfolded."""
        panel = self.page.get_by_test_id("readings")
        if panel.get_by_role("button").count():
            panel.get_by_role("button").first.click()
        ids = panel.locator("[data-reading-id]").evaluate_all(
            "rows => rows.map(row => row.dataset.readingId)"
        )
        return set(ids)


class DeviceProgram:
    """`python -m devices.simulate` as a patient's gateway would run it."""

    def __init__(self, house: House, patient_id: str, *words: str) -> None:
        self.stream = uuid4()
        # Open as long as the program writes to it; closed with it.
        self._log = Path(house.home, f"simulate-{self.stream}.log").open("w")  # noqa: SIM115
        self.process = subprocess.Popen(
            [
                sys.executable,
                *("-m", "devices.simulate", "--server", house.url),
                *("--token", house.device(patient_id, "ecg")["token"]),
                *("--bp-token", house.device(patient_id, "blood_pressure")["token"]),
                *("--stream", str(self.stream), "--loop", "--every", "3"),
                *words,
            ],
            cwd=ROOT,
            env=house.environ,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=10)
        self._log.close()


def assert_equals_recording(snapshot: dict[str, Any], stream: UUID) -> int:
    """Every sample on screen is the recording's own at its place; returns how many were compared."""
    assert snapshot["stream"] == str(stream)
    samples = np.array(snapshot["samples"], dtype=np.int16)
    source = recorded()
    # The program starts each turn of its loop at a frame boundary, the last frame being short.
    positions = (snapshot["first"] + np.arange(len(samples))) % len(source)
    np.testing.assert_array_equal(samples, source[positions])
    return len(samples)


@contextmanager
def in_a_visit(
    browser: Browser,
    house: House,
    visit: dict[str, str],
    patient_browser: Browser | None = None,
    **context: Any,
) -> Iterator[tuple[Room, Room, DeviceProgram]]:
    """Doctor and patient of the visit in the room with their cameras on, devices sending."""
    with (
        DeviceProgram(house, visit["patient_id"]) as devices,
        Room(browser, house, visit["doctor_id"], visit["id"], **context) as doctor,
        Room(
            patient_browser or browser, house, visit["patient_id"], visit["id"], **context
        ) as patient,
    ):
        for room in (doctor, patient):
            room.sign_in()
            room.enter()
            room.join()
        yield doctor, patient, devices
        assert doctor.errors == []
        assert patient.errors == []
