"""One visit, for real: two browsers, our media worker, a recorder and a cuff."""

from collections.abc import Iterator

import pytest
from house import House, wait_for
from looks import NARROW, WIDE, overflow, violations
from playwright.sync_api import Browser, expect
from room import DeviceProgram, Room, assert_equals_recording, in_a_visit

pytestmark = pytest.mark.browser

MMHG = {"ru": "мм рт. ст.", "tt": "мм тер. баг.", "en": "mmHg"}


@pytest.fixture(scope="module")
def pair(browser: Browser, house: House) -> Iterator[tuple[Room, Room, DeviceProgram]]:
    """A doctor and the patient of one visit, both in the room, devices sending."""
    with in_a_visit(browser, house, house.world["visits"][0]) as people:
        yield people


@pytest.mark.journey("J1.1", "J1.4")
def test_both_decode_each_others_video(pair: tuple[Room, Room, DeviceProgram]) -> None:
    """Frames decoded grow on both sides, and each page says how good the link is."""
    doctor, patient, _ = pair
    for room in (doctor, patient):
        room.sees_the_other()
        presented = room.frames_presented()
        wait_for("the video element to go on", lambda r=room, n=presented: r.frames_presented() > n)
        expect(room.call).to_have_attribute("data-link", "good", timeout=15_000)


@pytest.mark.journey("J1.4")
def test_the_patient_sees_the_doctors_screen_beside_the_face(
    pair: tuple[Room, Room, DeviceProgram],
) -> None:
    """It comes and goes while the face goes on, and leaves the page fit for everybody."""
    doctor, patient, _ = pair
    doctor.page.get_by_test_id("share-screen").click()
    screen = patient.page.get_by_test_id("other-screen")
    expect(screen).to_be_visible(timeout=15_000)
    wait_for("the screen", lambda: screen.locator("video").evaluate("video => video.videoWidth"))
    patient.sees_the_other()
    patient.page.set_viewport_size(NARROW)
    assert violations(patient.page) == []
    assert overflow(patient.page) == []
    patient.page.set_viewport_size(WIDE)
    doctor.page.get_by_test_id("share-screen").click()
    expect(screen).to_have_count(0)
    patient.sees_the_other()


@pytest.mark.journey("J1.5")
def test_the_doctor_sees_a_moving_ecg_equal_to_the_recording(
    pair: tuple[Room, Room, DeviceProgram],
) -> None:
    """Ten seconds of trace equal the recording sample by sample, with p95 of sample-to-screen under 1 s.

    On both pages, which are measured in the same seconds: two hundred delays together.
    """
    doctor, patient, devices = pair
    start = wait_for("the first ECG frame", lambda: doctor.last_sequence() + 1, 20)
    wait_for("ten seconds of trace", lambda: doctor.last_sequence() >= start + 50, 30)
    snapshot = doctor.ecg()
    assert snapshot is not None
    compared = assert_equals_recording(snapshot, devices.stream)
    assert compared >= 50 * 72
    assert snapshot["drawnTo"] > snapshot["first"] + 40 * 72
    p95s_ms = []
    for room in (doctor, patient):
        wait_for("delays measured", lambda r=room: int(r.ecg_fact("delay-count") or 0) >= 100, 60)
        p95s_ms.append(float(room.ecg_fact("delay-p95-ms") or "inf"))
    print(f"sample to screen: p95 {p95s_ms} ms, doctor and patient; {compared} samples equal")
    assert max(p95s_ms) < 1000


@pytest.mark.journey("J1.5")
def test_heart_rate_and_quality_are_those_of_a_good_recording(
    pair: tuple[Room, Room, DeviceProgram],
) -> None:
    """Record 100 runs at 70 to 80 beats a minute in its first two minutes, and is clean."""
    doctor, _, _ = pair
    vitals = doctor.page.locator("[data-heart-rate]")
    expect(vitals).to_have_attribute("data-quality", "good", timeout=30_000)
    rate = float(wait_for("a heart rate", lambda: vitals.get_attribute("data-heart-rate")))
    assert 65 <= rate <= 90


@pytest.mark.journey("J1.5")
def test_blood_pressures_arrive_with_unit_time_and_device(
    pair: tuple[Room, Room, DeviceProgram],
) -> None:
    """Each row names value, unit, time and the cuff."""
    doctor, _, _ = pair
    rows = doctor.page.locator('[data-testid=readings] [data-kind="blood_pressure"]')
    expect(rows.first).to_be_visible(timeout=20_000)
    text = rows.first.inner_text()
    assert MMHG[doctor.page.evaluate("document.documentElement.lang")] in text
    assert "Тонометр" in text
    assert ":" in text
    seen = rows.count()
    wait_for("another reading by itself", lambda: rows.count() > seen or rows.count() >= 5)


@pytest.mark.journey("J1.5")
def test_a_reload_shows_it_all_again(pair: tuple[Room, Room, DeviceProgram]) -> None:
    """After a reload the same samples and the same readings come back from the stores."""
    doctor, _, devices = pair
    before = doctor.ecg()
    assert before is not None
    readings = doctor.reading_ids()
    doctor.page.reload()
    (oldest, newest), *_ = before["sequences"]
    # A page that opens fetches two minutes; on a slow machine this visit may be older than that.
    after = doctor.whole_trace(newest, since=max(oldest, newest - 400))
    assert_equals_recording(after, devices.stream)
    first = max(before["first"], after["first"])
    again = before["samples"][first - before["first"] :]
    assert after["samples"][first - after["first"] :][: len(again)] == again
    assert len(again) > 5 * 360
    wait_for("every reading again", lambda: readings <= doctor.reading_ids())
    expect(doctor.call).to_have_attribute("data-joined", "camera")
    doctor.sees_the_other()
