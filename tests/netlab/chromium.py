"""Two Chromium pages call each other over a bad line; run by hand, prints what they saw.

    .venv/bin/python -m tests.netlab.chromium [quiet] [cut] [loss] [rebind] [address]

The pages are at the end "a", the media worker at "b"; what they say to the API is not impaired.
"""

import asyncio
import itertools
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from rtc.messages import Restart
from rtc.worker import Worker
from tests.netlab.lab import Lab, missing
from tests.netlab.link import ADDRESSES, DEVICE
from tests.rtc.browser_scene import FLAGS, ROOM, Scene, open_page, served_page

NAMES = ("doctor", "patient")
POLL_S = 0.05
CUT_S = 10.0
LOOK_S = 15.0
TURNS, TURN_S, SETTLE_S = 4, 8.0, 2.0
NEW_ADDRESS = "10.9.0.11"
STATES = "() => Object.values(connections).map((pc) => pc.connectionState).join(' ')"
TRANSPORTS = "() => Object.keys(connections)"


class Watch:
    """When each page decoded a frame, and what its connections said of themselves."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._frames = dict.fromkeys(NAMES, 0)
        self.at: dict[str, list[float]] = {name: [] for name in NAMES}
        self.states: list[str] = []
        self._state = dict.fromkeys(NAMES, "")
        self._began = time.monotonic()

    async def look(self, seconds: float) -> None:
        """Looks for so long."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            for name in NAMES:
                frames = (await self._scene.seen(name))["frames"]
                if frames > self._frames[name]:
                    self._frames[name] = frames
                    self.at[name].append(time.monotonic())
                state = await self._scene.pages[name].evaluate(STATES)
                if state != self._state[name]:
                    self._state[name] = state
                    self.states.append(f"{now - self._began:.1f} {name}: {state}")
            await asyncio.sleep(POLL_S)

    def frames(self) -> dict[str, int]:
        """Decoded so far."""
        return dict(self._frames)

    def gaps(self, since: float) -> dict[str, tuple[float, float]]:
        """Per page: seconds to the first frame after an instant, and the longest gap after it."""
        found = {}
        for name in NAMES:
            after = [each for each in self.at[name] if each > since]
            steps = [later - earlier for earlier, later in itertools.pairwise(after)]
            first = round(after[0] - since, 2) if after else -1.0
            found[name] = (first, round(max(steps, default=-1.0), 2))
        return found


async def change(**wanted: Any) -> Any:
    """Asks the process that has the line, and waits until it is done."""
    print(json.dumps(wanted), flush=True)
    return json.loads(await asyncio.to_thread(sys.stdin.readline))


async def quiet(watch: Watch, _: Scene) -> dict[str, Any]:
    """Nothing happens: what the machine itself does to the pictures."""
    at = time.monotonic()
    await watch.look(LOOK_S)
    return {"first frame after, longest gap": watch.gaps(at)}


async def cut(watch: Watch, _: Scene) -> dict[str, Any]:
    """Nothing passes for ten seconds, then everything does."""
    await change(down=True)
    await watch.look(CUT_S)
    await change(down=False)
    up = time.monotonic()
    await watch.look(LOOK_S)
    return {"first frame after, longest gap": watch.gaps(up)}


async def loss(watch: Watch, _: Scene) -> dict[str, Any]:
    """Five percent each way at 50 ms against none, taking turns: frames a second of both pages."""
    found: dict[str, list[float]] = {}
    for share in (0.0, 0.05) * TURNS:
        await change(loss=share, delay_ms=50)
        await watch.look(SETTLE_S)
        before, began = sum(watch.frames().values()), time.monotonic()
        await watch.look(TURN_S)
        rate = (sum(watch.frames().values()) - before) / (time.monotonic() - began)
        found.setdefault(str(share), []).append(round(rate, 1))
    await change(loss=0.0, delay_ms=0)
    ratios = [bad / good for good, bad in zip(found["0.0"], found["0.05"], strict=True)]
    return {"frames a second": found, "median of the ratios": statistics.median(ratios)}


async def rebind(watch: Watch, _: Scene) -> dict[str, Any]:
    """The pages' router forgets their ports and gives them others."""
    await change(way="ab", port_shift=1)
    await change(way="ba", port_shift=-1)
    at = time.monotonic()
    await watch.look(LOOK_S)
    return {"first frame after, longest gap": watch.gaps(at)}


async def address(watch: Watch, scene: Scene) -> dict[str, Any]:
    """The pages' machine gets another address and loses its own; then an ICE restart."""
    await change(run=["ip", "addr", "add", f"{NEW_ADDRESS}/32", "dev", DEVICE])
    await change(run=["ip", "addr", "del", ADDRESSES["a"], "dev", DEVICE])
    await change(run=["ip", "route", "add", ADDRESSES["b"], "dev", DEVICE, "src", NEW_ADDRESS])
    at = time.monotonic()
    await watch.look(LOOK_S)
    found: dict[str, Any] = {"by itself": watch.gaps(at)}
    for name in NAMES:
        for transport in await scene.pages[name].evaluate(TRANSPORTS):
            scene.link.send(Restart(ROOM, name, transport))
    at = time.monotonic()
    await watch.look(LOOK_S)
    found["after ICE restart"] = watch.gaps(at)
    return found


ACTS: dict[str, Callable[[Watch, Scene], Awaitable[dict[str, Any]]]] = {
    "quiet": quiet,
    "cut": cut,
    "loss": loss,
    "rebind": rebind,
    "address": address,
}


async def browsers(path: Path, acts: list[str]) -> None:
    """At end a: both pages, and the acts one after the other."""
    async with served_page() as url, async_playwright() as playwright:
        scene = Scene(path)
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS
        )
        async with scene.link, asyncio.TaskGroup() as group:
            carrier = group.create_task(scene.carry())
            await scene.up.wait()
            for name in NAMES:
                scene.pages[name] = await open_page(browser, url)
            scene.state(**{name: ["audio", "video"] for name in NAMES})
            for name in NAMES:
                scene.join(name)
            for name in NAMES:
                await scene.watch(name, lambda seen: seen["frames"] >= 40, f"frames of {name}")
            for act in acts:
                watch = Watch(scene)
                await watch.look(1)
                saw = await ACTS[act](watch, scene)
                await change(saw={act: saw, "states": watch.states})
            carrier.cancel()
        await browser.close()


async def serve(path: Path) -> None:
    """At end b: the worker, until its input ends."""
    host = ADDRESSES["b"]
    async with Worker(path, host, 0, (host,)):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


def main(acts: list[str]) -> None:
    """Has the line, and does to it what the acts ask for."""
    if reason := missing():
        sys.exit(reason)
    with tempfile.TemporaryDirectory(prefix="rtc-") as folder, Lab() as lab:
        path = Path(folder) / "link.sock"
        subprocess.run(
            lab.inside("b", ["ip", "route", "add", f"{NEW_ADDRESS}/32", "dev", DEVICE]), check=True
        )
        lab.change(delay_ms=20)
        me = [sys.executable, "-m", "tests.netlab.chromium"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with (
            subprocess.Popen(lab.inside("b", [*me, "--worker", str(path)]), **pipes) as worker,
            subprocess.Popen(
                lab.inside("a", [*me, "--browsers", str(path), *acts]), **pipes
            ) as pages,
        ):
            assert pages.stdin
            assert pages.stdout
            for line in pages.stdout:
                if not line.startswith("{"):
                    print(line, end="")
                    continue
                wanted = json.loads(line)
                answer: Any = None
                if "saw" in wanted:
                    print(json.dumps(wanted["saw"], indent=1), flush=True)
                elif "run" in wanted:
                    ran = subprocess.run(
                        lab.inside("a", wanted["run"]), check=False, capture_output=True, text=True
                    )
                    answer = ran.stderr
                    print(wanted["run"], ran.returncode, ran.stderr.strip())
                else:
                    answer = lab.change(**wanted)
                pages.stdin.write(json.dumps(answer) + "\n")
                pages.stdin.flush()
            assert worker.stdin
            worker.stdin.close()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        asyncio.run(serve(Path(sys.argv[2])))
    elif sys.argv[1:2] == ["--browsers"]:
        asyncio.run(browsers(Path(sys.argv[2]), sys.argv[3:]))
    else:
        main(sys.argv[1:] or list(ACTS))
