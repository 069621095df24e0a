"""Visits and lessons on the product's own pages over a bad line; prints a table, fails on a miss.

    make bad-networks
    .venv/bin/python -m tests.netlab.chromium [quiet] [loss] [cut] [restart] [rebind] [ladder] …

One browser is at the end "a" of the line, with everything it says to the API; the house with its
media worker is at "b", where the other browser's line is whole. Needs root: PostgreSQL will not run
as a mapped one.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from tests.netlab.lab import Lab, missing
from tests.netlab.link import ADDRESSES, DEVICE
from tests.netlab.noted import frames_at, longest, speech_at
from tests.netlab.stage import Stage, Watched

# isort: split
from classroom import Desk, lesson_of
from house import House, wait_for
from room import Room

BACK_S = 5.0
BREAK_S = 1.0
CUT_S = 10.0
AFTER_S = 12.0
NEW_ADDRESS = "10.9.0.11"
TEACHER, PUPIL = "teacher.zulfiya", "pupil.aidar"


@dataclass(frozen=True)
class Row:
    """One line of the table; without a bar it is only told."""

    what: str
    figure: float | str
    most: float | None = None
    unit: str = "s"

    @property
    def ok(self) -> bool:
        """Whether the figure keeps to its bar."""
        return self.most is None or (isinstance(self.figure, float) and self.figure <= self.most)

    def __str__(self) -> str:
        figure = f"{self.figure:.2f}" if isinstance(self.figure, float) else self.figure
        bar = "" if self.most is None else f"<= {self.most:g} {self.unit}"
        verdict = "" if self.most is None else "ok" if self.ok else "MISSED"
        return f"{self.what:<66} {figure:>12} {bar:>12}  {verdict}"


@dataclass(frozen=True)
class Scene:
    """Two people: the far one is at the house's end, the near one behind the bad line."""

    lab: Lab
    stage: Stage
    near: Watched
    far: Watched
    near_page: Any
    far_page: Any

    def wait(self, seconds: float) -> float:
        """Let time pass; when it has."""
        self.near.wait(seconds)
        return time.time()

    def first_picture(self, who: Watched, since: float) -> float:
        """Seconds from an instant to the next decoded picture; so far as it was waited for."""
        looks = who.looks(since)
        at = next(iter(frames_at(looks)), None)
        return at - since if at is not None else 1000.0

    def first_message(self, since: float) -> float:
        """Seconds until the near page hears the server again."""
        return min((at for at, _ in self.near.heard if at > since), default=since + 1000) - since

    def welcomed(self, since: float) -> float:
        """Seconds until the near page's newest socket was let in."""
        heard = self.near.messages(self.near.heard, "welcome", since)
        return heard[0] - since if heard else 1000.0

    def pictureless(self, who: Watched, since: float, until: float) -> float:
        """The longest time without a new picture."""
        return longest(frames_at(who.looks(since - 1, until)), since, until)

    def speechless(self, who: Watched, since: float, until: float) -> float:
        """The longest break in what is heard."""
        return longest(speech_at(who.looks(since - 1, until)), since, until)

    def step(self) -> str:
        """On which step of the ladder the near page stands."""
        place = self.near.page.locator("[data-step]").first
        return f"{place.get_attribute('data-step')} ({place.get_attribute('data-step-reason')})"


@contextmanager
def in_a_visit(stage: Stage) -> Iterator[Scene]:
    """The doctor at the house, the patient behind the line, cameras and microphones on."""
    house, visit = cast("House", stage.house), stage.house.world["visits"][0]
    with (
        Room(stage.browsers["b"], house, visit["doctor_id"], visit["id"]) as doctor,
        Room(stage.browsers["a"], house, visit["patient_id"], visit["id"]) as patient,
    ):
        far, near = Watched.of(doctor.page), Watched.of(patient.page)
        for room in (doctor, patient):
            room.sign_in()
            room.enter()
            room.join()
        for room in (doctor, patient):
            room.sees_the_other(60)
        scene = Scene(stage.lab, stage, near, far, patient, doctor)
        scene.wait(5)
        yield scene


@contextmanager
def in_a_lesson(stage: Stage) -> Iterator[Scene]:
    """The teacher at the house, a pupil behind the line."""
    house = cast("House", stage.house)
    lesson = lesson_of(house, TEACHER)
    with (
        Desk(stage.browsers["b"], house, TEACHER, lesson) as teacher,
        Desk(stage.browsers["a"], house, PUPIL, lesson) as pupil,
    ):
        far, near = Watched.of(teacher.page), Watched.of(pupil.page)
        for desk in (teacher, pupil):
            desk.sign_in()
            desk.enter()
        teacher.at("open-lesson").click()
        wait_for("the lesson", lambda: pupil.lesson.get_attribute("data-state") == "running", 30)
        pupil.join()
        pupil.sees_the_teacher(60)
        scene = Scene(stage.lab, stage, near, far, pupil, teacher)
        yield scene


def quiet(scene: Scene) -> Iterator[Row]:
    """Nothing happens: what the machine itself does."""
    began = time.time()
    ended = scene.wait(10)
    for who, name in ((scene.near, "near"), (scene.far, "far")):
        yield Row(f"quiet: longest still picture, {name}", scene.pictureless(who, began, ended))
        yield Row(f"quiet: longest break of speech, {name}", scene.speechless(who, began, ended))


def loss(scene: Scene) -> Iterator[Row]:
    """Five percent each way at 50 ms against none, taking turns."""
    frames: dict[float, list[int]] = {0.0: [], 0.05: []}
    for share in (0.0, 0.05) * 3:
        scene.lab.change(loss=share, delay_ms=50)
        began = scene.wait(2)
        scene.wait(6)
        looks = (scene.near.looks(began), scene.far.looks(began))
        frames[share].append(sum(_decoded(each) for each in looks))
    scene.lab.change(loss=0.0, delay_ms=20)
    ratios = [bad / good for good, bad in zip(frames[0.0], frames[0.05], strict=True)]
    share = 1 - statistics.median(ratios)
    yield Row("loss: share of pictures missing at 5 % each way against none", share, 0.05, "")


def _decoded(looks: list[dict[str, Any]]) -> int:
    first, last = (
        sum(frames for _, frames, _ in each["pictures"]) for each in (looks[0], looks[-1])
    )
    return int(last - first)


def _back(scene: Scene, name: str, up: float, made: tuple[int, int]) -> Iterator[Row]:
    yield Row(f"{name}: first picture, near", scene.first_picture(scene.near, up), BACK_S)
    yield Row(f"{name}: first picture, far", scene.first_picture(scene.far, up), BACK_S)
    yield _anew(scene, name, up - 15, made)


def _anew(scene: Scene, name: str, since: float, made: tuple[int, int]) -> Row:
    """How many connections are not those of before; on standard error, what the pages asked for."""
    for who, where in ((scene.near, "near"), (scene.far, "far")):
        for kind in ("hello", "restart", "media_ready"):
            asked = [round(at - since, 1) for at in who.messages(who.said, kind, since)]
            if asked:
                print(f"  {name}, {where}: {kind} at {asked}", file=sys.stderr)
    now = _made(scene)
    return Row(f"{name}: connections made anew", float(sum(now) - sum(made)), 0, "")


def _made(scene: Scene) -> tuple[int, int]:
    return scene.near.made(), scene.far.made()


def cut(scene: Scene) -> Iterator[Row]:
    """Nothing passes for ten seconds, media and signalling alike; then everything does."""
    made = _made(scene)
    scene.lab.change(down=True)
    scene.wait(CUT_S)
    scene.lab.change(down=False)
    up = time.time()
    scene.wait(AFTER_S)
    yield from _back(scene, "10 s cut", up, made)
    yield Row("10 s cut: the page hears the server again", scene.first_message(up), BACK_S)
    shown = [text for at, text in scene.near.said if at > up - CUT_S and '"hello"' in text]
    ways = " ".join("token" if "resume_token" in text else "ticket" for text in shown)
    yield Row("10 s cut: came back by", ways or "same socket")


def restart(scene: Scene) -> Iterator[Row]:
    """Media alone are cut for nine seconds: the page asks for an ICE restart."""
    made, began = _made(scene), time.time()
    scene.lab.change(udp_down=True)
    scene.wait(9)
    scene.lab.change(udp_down=False)
    up = time.time()
    scene.wait(AFTER_S)
    asked = len(scene.near.messages(scene.near.said, "restart", began))
    yield Row("ICE restart: asked for by the page, times", float(asked))
    yield from _back(scene, "ICE restart", up, made)


def _moved(scene: Scene, name: str, at: float, made: tuple[int, int]) -> Iterator[Row]:
    ended = time.time()
    for who, where in ((scene.near, "near"), (scene.far, "far")):
        yield Row(
            f"{name}: longest still picture, {where}", scene.pictureless(who, at, ended), BACK_S
        )
    yield _anew(scene, name, at, made)


def rebind(scene: Scene) -> Iterator[Row]:
    """The near end's router forgets its ports and gives it others."""
    made = _made(scene)
    scene.lab.change("ab", port_shift=1)
    scene.lab.change("ba", port_shift=-1)
    at = time.time()
    scene.wait(AFTER_S)
    yield from _moved(scene, "other ports", at, made)


def address(scene: Scene) -> Iterator[Row]:
    """The near machine loses its address and gets another, as a phone that leaves the Wi-Fi."""
    made = _made(scene)
    way_back = ["ip", "route", "replace", f"{NEW_ADDRESS}/32", "dev", DEVICE]
    subprocess.run(scene.lab.inside("b", way_back), check=True)
    for command in (
        f"addr add {NEW_ADDRESS}/32 dev {DEVICE}",
        f"addr del {ADDRESSES['a']} peer {ADDRESSES['b']} dev {DEVICE}",
        f"route replace {ADDRESSES['b']} dev {DEVICE} src {NEW_ADDRESS}",
    ):
        subprocess.run(scene.lab.inside("a", ["ip", *command.split()]), check=True)
    at = time.time()
    scene.wait(20)
    yield from _moved(scene, "other address", at, made)
    yield Row("other address: the page is welcomed again after", scene.welcomed(at))


def ladder(scene: Scene) -> Iterator[Row]:
    """The near end's line carries less and less, then nothing, then all again."""
    made, start = _made(scene), time.time()
    for kbit in (100, 45, 30):
        scene.lab.change(kbit=kbit)
        began = time.time()
        ended = scene.wait(25)
        name = f"ladder, {kbit} kbit/s"
        yield Row(f"{name}: step", scene.step())
        bar = BREAK_S if kbit > 40 else None
        for who, where in ((scene.near, "near"), (scene.far, "far")):
            yield Row(
                f"{name}: longest break of speech, {where}",
                scene.speechless(who, began, ended),
                bar,
            )
        yield Row(
            f"{name}: longest still picture, near", scene.pictureless(scene.near, began, ended)
        )
    scene.lab.change(down=True)
    scene.wait(8)
    scene.lab.change(down=False, kbit=0)
    up = time.time()
    scene.wait(25)
    looks = scene.near.looks(up - 1)
    speech = next((at for at in speech_at(looks) if at > up), up + 1000) - up
    yield Row("ladder, from 0 back: first speech, near", speech, BACK_S)
    first = scene.first_picture(scene.near, up)
    yield Row("ladder, from 0 back: first picture, near", first, 2 * BACK_S)
    yield Row(
        "ladder, from 0 back: first picture, far", scene.first_picture(scene.far, up), 2 * BACK_S
    )
    step = scene.step()
    yield Row("ladder, from 0 back: step after 25 s", step)
    yield Row("ladder, from 0 back: not on the highest step", float("high" not in step), 0, "")
    yield _anew(scene, "ladder", start, made)


def worker(scene: Scene) -> Iterator[Row]:
    """`kill -9` of the media worker: both pages see and hear again."""
    killed = scene.stage.kill("media")
    scene.wait(AFTER_S)
    back = []
    for who in (scene.near, scene.far):
        looks = [each for each in who.looks(killed) if each["at"] > killed + 0.3]
        # What had arrived before is decoded a moment longer: new connections count.
        new = [at for at in frames_at(looks) if at > killed + 0.5]
        back.append(next(iter(new), killed + 1000) - killed)
    yield Row("killed worker: first picture, near", back[0], BACK_S)
    yield Row("killed worker: first picture, far", back[1], BACK_S)


def _width(scene: Scene) -> int:
    """How wide the teacher's picture is at the pupil's."""
    looks = scene.near.looks(time.time() - 1)
    return max((width for _, _, width in looks[-1]["pictures"]), default=0) if looks else 0


def simulcast(scene: Scene) -> Iterator[Row]:
    """The teacher's camera comes in three sizes: a thin line gets a small one, and the large again."""
    wait_for("the large picture", lambda: scene.wait(0.5) and _width(scene) >= 900, 30)
    for kbit, most, least in ((200, 899, 0), (0, 10_000, 900)):
        scene.lab.change("ba", kbit=kbit)
        began = time.time()
        scene.wait(20)
        looks = scene.near.looks(began)
        widths = [
            (each["at"], max((w for _, _, w in each["pictures"]), default=0)) for each in looks
        ]
        moved = next((at for at, width in widths if least <= width <= most), began + 1000) - began
        name = f"layers, {kbit} kbit/s" if kbit else "layers, line whole again"
        yield Row(f"{name}: other size after", moved, 15)
        yield Row(f"{name}: width", float(widths[-1][1]))
        still = scene.pictureless(scene.near, began, began + 20)
        yield Row(f"{name}: longest still picture", still, 3)
        speechless = scene.speechless(scene.near, began, began + 20)
        yield Row(f"{name}: longest break of speech", speechless, BREAK_S)


def screen(scene: Scene) -> Iterator[Row]:
    """The teacher shows a screen; the pupil's line carries 300 kbit/s."""
    desk: Desk = scene.far_page
    desk.at("share-screen").click()
    wait_for(
        "the screen",
        lambda: (
            scene.wait(0.5)
            and len((scene.near.looks(time.time() - 1) or [{"pictures": []}])[-1]["pictures"]) > 1
        ),
        30,
    )
    scene.wait(5)
    scene.lab.change("ba", kbit=300)
    began = time.time()
    ended = scene.wait(20)
    yield Row(
        "screen, 300 kbit/s: longest break of speech",
        scene.speechless(scene.near, began, ended),
        BREAK_S,
    )
    yield Row(
        "screen, 300 kbit/s: longest still picture of the screen",
        _still_screen(scene, began, ended),
        BACK_S,
    )
    scene.lab.change("ba", kbit=0)
    began = time.time()
    ended = scene.wait(10)
    yield Row(
        "screen, line whole again: longest still picture of the screen",
        _still_screen(scene, began, ended),
        BACK_S,
    )


def _still_screen(scene: Scene, since: float, until: float) -> float:
    """Without a new picture of the widest one."""
    looks = scene.near.looks(since - 1, until)
    widest = max(((w, key) for each in looks for key, _, w in each["pictures"]), default=(0, ""))[1]
    only = [{**each, "pictures": [p for p in each["pictures"] if p[0] == widest]} for each in looks]
    return longest(frames_at(only), since, until)


VISIT = (quiet, loss, cut, restart, rebind, ladder, worker, address)
LESSON = (simulcast, screen)
Act = Callable[[Scene], Iterator[Row]]


def main(names: list[str]) -> int:
    """Play the named acts, or all; 1 when a bar was missed."""
    if reason := missing() or ("" if os.geteuid() == 0 else "needs root, for PostgreSQL"):
        sys.exit(reason)
    known = {act.__name__: act for act in (*VISIT, *LESSON)}
    wanted = [known[name] for name in names] or list(known.values())
    rows: list[Row] = []
    with Stage() as stage, ExitStack():
        for acts, place in ((VISIT, in_a_visit), (LESSON, in_a_lesson)):
            chosen = [act for act in acts if act in wanted]
            if not chosen:
                continue
            with place(stage) as scene:
                for act in chosen:
                    rows += _played(act, scene)
    load = os.getloadavg()[0]
    missed = sum(not row.ok for row in rows)
    print(f"\n{len(rows)} figures, {missed} missed; load of the machine {load:.1f}")
    return 1 if missed else 0


def _played(act: Act, scene: Scene) -> Iterator[Row]:
    for row in act(scene):
        print(row, flush=True)
        yield row
    scene.wait(3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
