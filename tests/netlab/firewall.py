"""Two browsers behind a firewall that lets no UDP pass, the worker and coturn in front of it.

    .venv/bin/python -m tests.netlab.firewall

Prints by which way each connection goes, and how long it took; fails when it is not the expected one.
"""

import asyncio
import json
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec
from playwright.async_api import async_playwright

from api.ice_servers import ice_servers
from rtc.messages import Restart
from rtc.worker import Worker
from tests.netlab.lab import Lab
from tests.netlab.link import ADDRESSES
from tests.rtc.browser_scene import FLAGS, ROOM, Scene, open_page, served_page
from tests.rtc.browser_tools import ROOT
from tests.rtc.relay_scene import coturn

HOST = ADDRESSES["b"]
ONE_WAY_MS = 20
PATIENCE_MS = 60_000
ENOUGH = 20
NOTICED = "Object.values(connections).every(each => each.connectionState === 'disconnected')"
WAYS = """async () => {
  const found = [];
  for (const pc of Object.values(connections)) {
    const stats = await pc.getStats();
    for (const each of stats.values()) {
      if (each.type !== "transport" || !each.selectedCandidatePairId) continue;
      const pair = stats.get(each.selectedCandidatePairId);
      const local = stats.get(pair.localCandidateId);
      found.push(local.relayProtocol ?? local.candidateType);
    }
  }
  return found;
}"""


def main() -> int:
    """Makes the line, and changes it as the house's end asks."""
    with Lab() as lab:
        lab.change(delay_ms=ONE_WAY_MS, udp_down=True)
        near = " ".join(lab.inside("a", ["chromium"]))
        there = subprocess.Popen(
            lab.inside("b", [sys.executable, "-m", "tests.netlab.firewall", near]),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert there.stdin
        assert there.stdout
        for line in there.stdout:
            if line.startswith("{"):
                lab.change(**json.loads(line))
                there.stdin.write("done\n")
                there.stdin.flush()
            else:
                print(line, end="", flush=True)
        return there.wait()


async def change(**wanted: bool) -> None:
    """Asks for another line."""
    print(json.dumps(wanted), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


class Firewall:
    """What is done and looked at; both pages are behind it."""

    def __init__(self, scene: Scene, servers: str) -> None:
        self.scene = scene
        self._servers = servers

    async def joined(self, what: str, way: str) -> None:
        """Both pages join anew, and the way they found is the expected one."""
        for page in self.scene.pages.values():
            await page.evaluate(f"way = {{ iceServers: {self._servers} }}")
        began = time.monotonic()
        for name in self.scene.pages:
            self.scene.join(name)
        await self.scene.watch("doctor", lambda seen: seen["frames"] > 0, what)
        await self.tell(what, began, way)

    async def tell(self, what: str, since: float, way: str) -> None:
        """Says how long it took, once everybody sees the other by the expected way."""
        took_s = time.monotonic() - since
        ways: list[str] = []
        for name, page in self.scene.pages.items():
            before = (await self.scene.seen(name))["frames"]
            await self.scene.watch(name, _over(before + ENOUGH), what)
            ways += await page.evaluate(WAYS)
        print(f"{what}: first picture after {took_s:.2f} s, by {', '.join(ways)}", flush=True)
        assert len(ways) == 2 * len(self.scene.pages)
        assert set(ways) == {way}, way

    async def cut(self) -> None:
        """UDP ends in mid-call; the pages ask for another way when they have noticed."""
        began = time.monotonic()
        await change(udp_down=True)
        for page in self.scene.pages.values():
            await page.wait_for_function(NOTICED, timeout=PATIENCE_MS)
        print(f"cut in mid-call: noticed after {time.monotonic() - began:.2f} s", flush=True)
        frames = (await self.scene.seen("doctor"))["frames"]
        for name, page in self.scene.pages.items():
            for transport in await page.evaluate("Object.keys(connections)"):
                self.scene.link.send(Restart(ROOM, name, transport))
        await self.scene.watch("doctor", _over(frames), "after the cut")
        await self.tell("cut in mid-call", began, "tcp")


def _over(frames: int) -> Callable[[dict[str, Any]], bool]:
    return lambda seen: bool(seen["frames"] > frames)


async def house_end(near: str) -> None:
    """Worker, coturn and driver at the end "b"; `near` is how a browser is started at the other."""
    async with AsyncExitStack() as stack:
        settings = await stack.enter_async_context(coturn(HOST))
        path = settings.run_dir / "link.sock"
        await stack.enter_async_context(Worker(path, HOST, 0, (HOST,)))
        url = await stack.enter_async_context(served_page(HOST))
        browser_at_a = settings.home / "chromium"
        browser_at_a.write_text(f'#!/bin/sh\nexec {near} "$@"\n')
        browser_at_a.chmod(stat.S_IRWXU)
        driver = await stack.enter_async_context(async_playwright())
        trusted = f"--unsafely-treat-insecure-origin-as-secure={url.rstrip('/')}"
        browser = await driver.chromium.launch(
            executable_path=browser_at_a, args=[*FLAGS, "--ignore-certificate-errors", trusted]
        )
        stack.push_async_callback(browser.close)
        scene = Scene(path)
        await stack.enter_async_context(scene.link)
        carrier = asyncio.create_task(scene.carry())
        stack.callback(carrier.cancel)
        await scene.up.wait()
        servers = msgspec.json.encode(ice_servers(settings, datetime.now(UTC))).decode()
        firewall = Firewall(scene, servers)
        both: list[Any] = ["audio", "video"]
        scene.state(doctor=both, patient=both)
        for name in ("doctor", "patient"):
            scene.pages[name] = await open_page(browser, url)
        await firewall.joined("no UDP passes", "tcp")
        await change(udp_down=False)
        for page in scene.pages.values():
            await page.goto(url)
            await page.evaluate("ready()")
        await firewall.joined("UDP passes", "host")
        await firewall.cut()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(house_end(sys.argv[1]))
    else:
        sys.exit(main())
