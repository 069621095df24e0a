"""Plays one lesson between Chromium pages, a teacher's and a pupil's; run by its test.

Run as a module where only loopback exists, as `browser_scene` is.
"""

import asyncio
import re
import time
from typing import Any

from playwright.async_api import Browser

from rtc.messages import Join, Kind, Member, RoomState
from rtc.rate import Rate
from rtc.worker import Worker
from tests.rtc.browser_scene import PATIENCE_S, POLL_S, ROOM, Scene, main, open_page

CAMERA, SCREEN, FLOOR_PICTURE = "1", "2", "4"  # mids of a pupil's subscribe connection
TEACHER: list[Kind] = ["audio", "video", "screen"]
ENOUGH = 30
SMALL, LARGE = 240, 960  # widths of the smallest and the largest layer


class Fixed(Rate):
    """A viewer's link that carries the smallest or the largest layer, whatever is measured."""

    nth = -1

    def tick(self, now: float) -> None:
        """See Rate."""
        for leg in self._viewer.watched.values():
            layers = [each for each in leg.track.layers if each.arrives(now)]
            if layers:
                leg.want(layers[self.nth], now)


async def watch(
    scene: Scene, member: str, mid: str, least: int, width: int | None = None
) -> dict[str, Any]:
    """Reads a page's decoder of one line until it has decoded so many frames, or is so wide."""
    end = time.monotonic() + PATIENCE_S
    while True:
        seen: dict[str, Any] = await scene.pages[member].evaluate("pictures()")
        line: dict[str, Any] = seen.get(mid, {"frames": 0, "width": 0})
        if line["frames"] >= least and width in {None, line["width"]}:
            return line
        if time.monotonic() > end:
            raise TimeoutError(f"{member}, line {mid}: {seen}")
        await asyncio.sleep(POLL_S)


async def change_layers(scene: Scene, worker: Worker) -> list[dict[str, Any]]:
    """A friend's link carries little for a while: his picture gets small, and large again."""
    transport = worker.rooms.rooms[ROOM].seats["friend"].subscribe
    assert transport is not None
    assert transport.rate is not None
    rate = Fixed(transport, time.monotonic())
    rate.repairs = transport.rate.repairs
    transport.rate, transport.sent = rate, rate.sent
    seen: list[dict[str, Any]] = []
    frames = 0
    for nth, width in ((-1, LARGE), (0, SMALL), (-1, LARGE)):
        rate.nth = nth
        await watch(scene, "friend", CAMERA, frames, width)
        line = await watch(scene, "friend", CAMERA, frames + ENOUGH)
        frames = line["frames"]
        other = await watch(scene, "pupil", CAMERA, ENOUGH)
        seen.append({**line, "other_frozen_s": other["frozen_s"]})
    return seen


async def play(scene: Scene, worker: Worker, browser: Browser, url: str) -> dict[str, Any]:
    """The teacher shows camera and screen; a pupil gets the floor, and loses it to another."""
    names = ("teacher", "pupil", "friend")
    for name in names:
        camera = "960, 540" if name == "teacher" else "640, 480"
        scene.pages[name] = await open_page(browser, url, camera)
    await scene.pages["teacher"].evaluate("share()")

    def say(holder: str | None = None) -> None:
        scene.version += 1
        kinds: dict[str | None, list[Kind]] = {"teacher": TEACHER, holder: ["audio", "video"]}
        members = [Member(name, kinds.get(name, []), subscribe=True) for name in names]
        scene.link.send(RoomState(ROOM, scene.version, members, "h264", "teacher"))

    say()
    for name in names:
        screen = name == "teacher"
        scene.link.send(Join(ROOM, name, audio=True, video=True, resume=[], screen=screen))
    first = await watch(scene, "pupil", CAMERA, ENOUGH)
    screen_line = await watch(scene, "pupil", SCREEN, ENOUGH)
    answer = await scene.pages["teacher"].evaluate("answered('publish')")
    result = {
        "camera": first,
        "screen": screen_line,
        "answered": re.findall(r"a=fmtp:(10[24]) (\S+)", answer),
    }
    result["layers"] = await change_layers(scene, worker)
    offers = await scene.pages["friend"].evaluate("offersTaken")
    frames = 0
    for holder, mid in (("pupil", "1"), ("friend", "1"), ("pupil", "1")):
        say(holder)
        seen = await watch(scene, "teacher", mid, frames + ENOUGH)
        frames = seen["frames"]
        result[f"floor_{holder}"] = frames
    result["floor_at_friend"] = (await watch(scene, "friend", FLOOR_PICTURE, ENOUGH))["frames"]
    result["offers_to_friend"] = await scene.pages["friend"].evaluate("offersTaken") - offers
    return result


if __name__ == "__main__":
    asyncio.run(main(play))
