"""One lesson, for real: a teacher, three pupils, a recording, somebody who watches and plays back."""

import os
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from classroom import TABLET, Desk, in_a_lesson, leaf_through, record, slides, upload
from house import House, wait_for
from looks import NARROW, overflow, violations
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

TEACHER = "teacher.zulfiya"
PUPILS = ("pupil.aidar", "pupil.sofia", "pupil.ilnaz")
LATE = "pupil.mark"
PAGES = 15
SOUNDS_S = """() => {
    const voice = document.querySelector("[data-testid=group-voice]");
    return voice && !voice.paused && voice.currentTime;
}"""
# Fifteen new frames at ten a second prove that it moves, and the page counts them once a second.
BACK_S, PROOF_S = 5.0, 2.5
# `make janus-journeys` plays the same lesson over Janus, which records nothing.
RECORDS = os.environ.get("YANASHA_MEDIA_ENGINE") != "janus"
recorded = pytest.mark.skipif(not RECORDS, reason="this media engine records nothing")
TITLES = [f"Сүз төркемнәре {n}" for n in range(1, PAGES + 1)]

Klass = tuple[Desk, list[Desk]]


@pytest.fixture(scope="module")
def school() -> Iterator[House]:
    """A house of its own: its lesson is ended at the end."""
    house = House.seeded()
    house.start()
    yield house
    house.stop()
    house.remove()


@pytest.fixture(scope="module")
def klass(classroom: Browser, school: House) -> Iterator[Klass]:
    """A lesson under way, with slides, recorded from its first second."""
    with in_a_lesson(classroom, school, TEACHER, *PUPILS) as people:
        if RECORDS:
            record(people[0])
        yield people


@pytest.mark.journey("J3.3")
def test_three_pupils_decode_the_teachers_picture(klass: Klass) -> None:
    """Frames decoded grow at each pupil, who publishes nothing and has asked for no microphone."""
    _, pupils = klass
    for pupil in pupils:
        pupil.sees_the_teacher()
        expect(pupil.at("recording")).to_have_attribute("data-on", "yes" if RECORDS else "no")


@pytest.mark.journey("J3.2")
def test_a_slide_turns_on_all_screens(klass: Klass) -> None:
    """Every pupil sees every page the teacher turns to; how soon is measured by `make bench-rtc`."""
    teacher, pupils = klass
    upload(teacher, slides(*TITLES))
    for desk in (teacher, *pupils):
        wait_for("the first slide", lambda d=desk: d.slide_shown_at_ms(1), 30)
    assert len(leaf_through(teacher, pupils, PAGES)) == (PAGES - 1) * len(pupils)


@pytest.mark.journey("J3.4", "J4.3")
def test_the_hand_queue_keeps_its_order_and_the_floor_is_one_pupils(klass: Klass) -> None:
    """Three hands in order; the second gets the floor, loses it, and the first keeps his place."""
    teacher, pupils = klass
    for pupil in pupils:
        pupil.at("hand").click()
        expect(pupil.at("hand")).to_have_attribute("data-raised", "yes")
        wait_for("the hand", lambda p=pupil: p.id in teacher.hands())
    assert teacher.hands() == [pupil.id for pupil in pupils]
    second = pupils[1]
    teacher.row("hands", second.id).get_by_test_id("give-floor").click()
    for desk in (teacher, *pupils):
        wait_for("the floor", lambda d=desk: d.floor() == second.id)
    wait_for("the queue", lambda: teacher.hands() == [pupils[0].id, pupils[2].id])
    teacher.at("take-floor").first.click()
    for desk in (teacher, *pupils):
        wait_for("no floor", lambda d=desk: d.floor() is None)


@pytest.mark.journey("J3.6")
def test_a_pupils_message_is_held_until_the_teacher_approves(klass: Klass) -> None:
    """The writer sees it waiting, the class does not see it, after approval everybody does."""
    teacher, pupils = klass
    writer, other = pupils[0], pupils[1]
    field = writer.at("chat").locator("textarea, input").first
    field.fill("Апа, мин аңламадым")
    field.press("Enter")
    mine = writer.at("chat").locator("[data-message-id]").last
    expect(mine).to_have_attribute("data-state", "held")
    message = mine.get_attribute("data-message-id")
    row = f'[data-message-id="{message}"]'
    held = teacher.at("chat").locator(row)
    expect(held).to_have_attribute("data-state", "held")
    assert other.at("chat").locator(row).count() == 0
    held.get_by_test_id("approve").click()
    for desk in (teacher, *pupils):
        expect(desk.at("chat").locator(row)).to_have_attribute("data-state", "approved")


@pytest.mark.skipif(not RECORDS, reason="groups were not tried over this media engine")
def test_groups_speak_among_themselves_until_they_are_called_back(klass: Klass) -> None:
    """One pupil is heard in his group and in no other; called back, the class goes on."""
    teacher, pupils = klass
    teacher.at("divide").click()
    teacher.page.get_by_role("dialog").locator("select").first.select_option("2")
    teacher.at("confirm-groups").click()
    places = {}
    for pupil in pupils:
        expect(pupil.at("group")).to_be_visible(timeout=15_000)
        places[pupil.id] = pupil.at("group").get_attribute("data-number")
    shared = max(places.values(), key=list(places.values()).count)
    speaker, other = (pupil for pupil in pupils if places[pupil.id] == shared)
    alone = next(pupil for pupil in pupils if places[pupil.id] != shared)
    speaker.at("microphone").click()
    heard = other.at("group").locator(f'[data-person="{speaker.id}"][data-voice="yes"]')
    expect(heard).to_be_visible(timeout=20_000)
    wait_for("his voice plays on", lambda: (other.page.evaluate(SOUNDS_S) or 0) > 2)
    assert alone.at("group").locator("[data-person]").count() == 0
    other.page.set_viewport_size(NARROW)
    assert violations(other.page) == []
    assert overflow(other.page) == []
    other.page.set_viewport_size(TABLET)
    teacher.at("call-back").click()
    for pupil in pupils:
        expect(pupil.at("group")).to_have_count(0)
        pupil.sees_the_teacher(40.0)


@pytest.fixture(scope="module")
def viewer(classroom: Browser, klass: Klass) -> Iterator[Desk]:
    """A pupil of the class who was late and only watches."""
    teacher, _ = klass
    with Desk(classroom, teacher.house, LATE, teacher.lesson_id) as desk:
        desk.sign_in()
        desk.page.goto(f"{desk.house.url}/#/lessons/{desk.lesson_id}/watch")
        yield desk


@recorded
def test_somebody_who_is_late_follows_by_hls(viewer: Desk) -> None:
    """The picture plays and its time goes on, no more than ten seconds behind."""
    expect(viewer.at("watch")).to_have_attribute("data-state", "recording", timeout=20_000)
    video = viewer.at("watch").locator("video")

    def place() -> float:
        return float(video.evaluate("video => video.currentTime"))

    wait_for("the picture", lambda: place() > 0, 30)
    start = place()
    wait_for("five seconds more", lambda: place() > start + 5, 30)
    delay_ms = float(viewer.at("watch").get_attribute("data-delay-ms") or "inf")
    print(f"hls: {delay_ms / 1000:.1f} s behind")
    assert delay_ms <= 10_000


@pytest.mark.journey("J3.10")
def test_a_killed_media_worker_gives_the_class_back(school: House, klass: Klass) -> None:
    """Within 5 s every pupil sees again, with slide, hands and floor as they were."""
    teacher, pupils = klass
    wait_for("both hands", lambda: teacher.hands() == [pupils[0].id, pupils[2].id])
    teacher.row("hands", pupils[2].id).get_by_test_id("give-floor").click()
    wait_for("the floor", lambda: pupils[0].floor() == pupils[2].id)
    before = [(desk.slide_page(), desk.floor()) for desk in (teacher, *pupils)]
    hands = teacher.hands()
    school.kill("media")
    began = time.monotonic()
    frames = [pupil.frames_decoded() for pupil in pupils]
    for pupil, since in zip(pupils, frames, strict=True):
        pupil.sees_the_teacher(BACK_S + PROOF_S - (time.monotonic() - began), since)
    print(f"killed media worker: the class sees again after {time.monotonic() - began:.1f} s")
    assert [(desk.slide_page(), desk.floor()) for desk in (teacher, *pupils)] == before
    assert teacher.hands() == hands


@recorded
@pytest.mark.journey("J3.8")
def test_the_recording_plays_with_seeking_within_a_minute_of_the_end(
    klass: Klass, viewer: Desk
) -> None:
    """As long as the lesson was recorded, to 2 s; a chapter's click seeks; the kill is marked."""
    teacher, pupils = klass
    teacher.at("end-lesson").click()
    ended = time.monotonic()
    teacher.at("confirm-end").click()
    for desk in (teacher, *pupils):
        expect(desk.lesson).to_have_attribute("data-state", "ended")
    watch = viewer.at("watch")
    expect(watch).to_have_attribute("data-state", "ready", timeout=60_000)
    print(f"playable {time.monotonic() - ended:.1f} s after the end")
    video = watch.locator("video")
    wait_for("its length", lambda: video.evaluate("video => video.duration > 0"), 20)
    told = recording(viewer)
    assert told["gaps"], "the killed worker's hole is not marked"
    length_s = float(video.evaluate("video => video.duration"))
    lasted_s = ended - teacher.records_since
    print(f"recording {length_s:.1f} s, lesson {lasted_s:.1f} s, gaps {told['gaps']}")
    assert abs(length_s - lasted_s) <= 2
    chapters = watch.locator("[data-chapter]")
    assert chapters.count() >= PAGES
    starts = [int(one["start_ms"]) for one in told["chapters"]]
    assert all(a <= b for a, b in pairwise(starts))
    target_s = length_s / 2
    wait_for(  # whoever is interrupted presses once more
        "it to play",
        lambda: video.evaluate(
            """(video, at) => { video.currentTime = at;
                return video.play().then(() => true, () => false); }""",
            target_s,
        ),
    )
    wait_for(
        "the picture after the seek",
        lambda: video.evaluate(
            "(video, at) => video.currentTime > at + 1 && !video.seeking && video.videoWidth > 0",
            target_s,
        ),
        20,
    )
    chapters.nth(3).click()
    wait_for(
        "the chapter",
        lambda: abs(float(video.evaluate("video => video.currentTime")) - starts[3] / 1000) < 5,
    )
    assert video.evaluate("video => video.error") is None


def recording(desk: Desk) -> dict[str, Any]:
    """What the API tells this person of the recording."""
    answer = desk.page.request.get(
        f"{desk.house.url}/api/v1/lessons/{desk.lesson_id}/recording",
    )
    assert answer.ok, answer.text()
    return dict(answer.json())
