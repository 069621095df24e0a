"""What happens in mid-visit when a process dies, a lid closes or the whole house is killed.

The patient's computer is one as in life: its browser knows no test's own ways to cameras and media.
"""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import FAKE_MEDIA, launch
from house import House, wait_for
from playwright.sync_api import Browser, Playwright, expect
from room import DeviceProgram, Room, assert_equals_recording, in_a_visit

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def wreck() -> Iterator[House]:
    """A house of its own with two media workers, to be hurt; media have no loopback address."""
    house = House.seeded(YANASHA_RTC_WORKERS="2", YANASHA_RTC_ADDRESS="10.77.0.1")
    house.start()
    yield house
    house.stop()
    house.remove()


@pytest.fixture(scope="module")
def laptop(playwright: Playwright) -> Iterator[Browser]:
    """The patient's own computer, whose lid can be closed.

    No loopback candidates, no names instead of addresses shown, no fake permission dialog.
    """
    kept = [
        flag
        for flag in FAKE_MEDIA
        if "loopback" not in flag and "fake-ui" not in flag and "Mdns" not in flag
    ]
    browser = launch(playwright, *kept)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def visit(
    browser: Browser, laptop: Browser, wreck: House
) -> Iterator[tuple[Room, Room, DeviceProgram]]:
    """One long visit that every accident of this module falls upon."""
    allowed = {"permissions": ["camera", "microphone"]}
    with in_a_visit(browser, wreck, wreck.world["visits"][0], laptop, **allowed) as people:
        for room in people[:2]:
            room.sees_the_other()
            room.watch_troubles()
        wait_for("the trace", lambda: people[0].last_sequence() > 0)
        yield people


def child_is_another(house: House, name: str, before: int) -> bool:
    """The supervisor has started this child anew and it is ready."""
    row = house.children()[name]
    return row["pid"] != before and row["state"] == "ready"


def trace_is_whole(doctor: Room, devices: DeviceProgram, beyond: int) -> None:
    """The trace goes on past frame `beyond` and has neither hole nor double nor a false sample."""
    assert_equals_recording(doctor.whole_trace(beyond + 10, 60), devices.stream)


def test_a_visit_works_without_the_test_flags_of_the_browser(
    visit: tuple[Room, Room, DeviceProgram],
) -> None:
    """On the patient's side both ways: his picture to the doctor, the doctor's to him."""
    doctor, patient, _ = visit
    for room in (doctor, patient):
        room.sees_the_other()
    wait_for("the trace", lambda: doctor.last_sequence() > 10)


@pytest.mark.journey("J1.10")
def test_a_killed_media_worker_lets_the_room_form_again(
    wreck: House, visit: tuple[Room, Room, DeviceProgram]
) -> None:
    """Both see each other again within 10 s, the trace never stops, the page says what happens."""
    doctor, patient, devices = visit
    note = doctor.page.get_by_test_id("note").locator("textarea")
    note.fill("Жалобы: слабость")
    sequence = doctor.last_sequence()
    before = wreck.kill("media")
    began = time.monotonic()
    for room in (doctor, patient):
        wait_for("the page to say so", lambda room=room: "media" in room.troubles(), 5)
        room.sees_the_other(timeout_s=10 - (time.monotonic() - began))
    print(f"killed media worker: both pictures move again after {time.monotonic() - began:.1f} s")
    assert child_is_another(wreck, "media", before)
    for room in (doctor, patient):
        expect(room.trouble).to_have_attribute("data-state", "none")
    assert note.input_value() == "Жалобы: слабость"
    trace_is_whole(doctor, devices, sequence)


def test_a_killed_api_loses_nothing_and_the_picture_goes_on(
    wreck: House, visit: tuple[Room, Room, DeviceProgram]
) -> None:
    """Media does not pass through the API; typed text and samples reach it when it is back."""
    doctor, patient, devices = visit
    sequence = doctor.last_sequence()
    decoded = patient.frames_decoded()
    before = wreck.kill("api")
    note = doctor.page.get_by_test_id("note").locator("textarea")
    note.fill("Жалобы: слабость, головокружение")
    wait_for("frames while the API is away", lambda: patient.frames_decoded() > decoded + 5)
    wait_for("a new API", lambda: child_is_another(wreck, "api", before), 30)
    for room in (doctor, patient):
        expect(room.trouble).to_have_attribute("data-state", "none", timeout=20_000)
        assert "link" in room.troubles()
        room.sees_the_other()
    expect(doctor.page.get_by_test_id("note")).to_have_attribute(
        "data-state", "saved", timeout=20_000
    )
    trace_is_whole(doctor, devices, sequence)


@pytest.mark.journey("J1.10")
def test_a_killed_postgres_loses_nothing_acknowledged(
    wreck: House, visit: tuple[Room, Room, DeviceProgram]
) -> None:
    """Readings and samples wait at the device, the note on the page; all are stored afterwards."""
    doctor, _, devices = visit
    sequence = doctor.last_sequence()
    before = wreck.kill("postgres")
    doctor.page.get_by_test_id("note").locator("textarea").fill("Жалобы: слабость. План: ЭКГ")
    wait_for("a new PostgreSQL", lambda: child_is_another(wreck, "postgres", before), 30)
    expect(doctor.page.get_by_test_id("note")).to_have_attribute(
        "data-state", "saved", timeout=30_000
    )
    expect(doctor.trouble).to_have_attribute("data-state", "none", timeout=20_000)
    assert {"stores", "link"} & set(doctor.troubles())
    trace_is_whole(doctor, devices, sequence)
    doctor.sees_the_other()


@pytest.mark.parametrize("name", ["objects", "jobs"])
def test_a_killed_store_of_objects_or_job_runner_is_not_felt(
    wreck: House, visit: tuple[Room, Room, DeviceProgram], name: str
) -> None:
    """They come back by themselves while picture and trace go on."""
    doctor, patient, devices = visit
    sequence = doctor.last_sequence()
    before = wreck.kill(name)
    wait_for("the child again", lambda: child_is_another(wreck, name, before), 30)
    trace_is_whole(doctor, devices, sequence)
    for room in (doctor, patient):
        room.sees_the_other()


def browser_processes(browser: Browser) -> list[int]:
    """Pids of one chromium, by the profile folder that playwright gave it."""
    session = browser.new_browser_cdp_session()
    pid = next(
        row["id"]
        for row in session.send("SystemInfo.getProcessInfo")["processInfo"]
        if row["type"] == "browser"
    )
    session.detach()
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(")")[2].split()[1]
                )
            except OSError:
                continue
    found = [pid]
    for parent in found:
        found.extend(child for child, of in parents.items() if of == parent)
    return found


def test_a_lid_closed_for_30_s_brings_everything_back_by_itself(
    laptop: Browser, visit: tuple[Room, Room, DeviceProgram]
) -> None:
    """The doctor is told that the patient is away; opened again, both see each other without a click."""
    doctor, patient, _ = visit
    pids = browser_processes(laptop)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    closed = time.monotonic()
    try:
        expect(doctor.page.get_by_test_id("remote")).to_have_attribute(
            "data-state", re.compile("restoring|waiting"), timeout=30_000
        )
        while (left := 30 - (time.monotonic() - closed)) > 0:
            doctor.page.wait_for_timeout(min(left, 1) * 1000)
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
    expect(patient.trouble).to_have_attribute("data-state", "none", timeout=20_000)
    # The worker gives a silent connection up after 30 s too: then both are made anew.
    for room in (doctor, patient):
        room.sees_the_other(20)


def test_a_killed_supervisor_takes_all_with_it_and_the_next_start_goes_on(
    wreck: House, visit: tuple[Room, Room, DeviceProgram]
) -> None:
    """No process is left behind; after a new start the same pages go on with nothing lost."""
    doctor, patient, devices = visit
    sequence = doctor.last_sequence()
    readings = doctor.page.locator("[data-reading-id]").count()
    wreck.kill_supervisor()
    wait_for("every child to be gone", lambda: not wreck.processes(but=devices.pid), 5)
    wreck.start()
    for room in (doctor, patient):
        expect(room.trouble).to_have_attribute("data-state", "none", timeout=30_000)
        room.sees_the_other(20)
    trace_is_whole(doctor, devices, sequence)
    assert doctor.page.locator("[data-reading-id]").count() >= readings


def test_ctrl_c_stops_everything_within_5_s(
    wreck: House, visit: tuple[Room, Room, DeviceProgram]
) -> None:
    """Also in mid-visit, and nothing of it is left running."""
    devices: Any = visit[2]
    took_s = wreck.stop()
    assert wreck.processes(but=devices.pid) == []
    print(f"stopped in {took_s:.1f} s")
    assert took_s < 5
