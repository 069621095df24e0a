"""Plays one visit between two Chromium pages and prints what they saw; run by its test.

Runs where only loopback exists, so the browsers can use no other address.
"""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import Browser, Page, async_playwright

from rtc.link import MediaLink
from rtc.messages import Answer, FromWorker, Join, Member, Offer, Presence, Restart, RoomState
from rtc.worker import Worker

ROOM = "scene"
PAGE = Path(__file__).parent / "browser_page.html"
POLL_S = 0.1  # the browser's counters tell nobody when they change
SETTLED_POLLS = 5
PATIENCE_S = 60.0
FLAGS = [
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
    "--no-sandbox",
]


class Scene:
    """Carries messages between two pages and the worker, as the API's sockets do."""

    def __init__(self, path: Path) -> None:
        self.up = asyncio.Event()
        self._news = asyncio.Event()
        self.link = MediaLink([path], self._hear, lambda _: self.up.set())
        self.pages: dict[str, Page] = {}
        self.presence: dict[str, tuple[bool, bool, bool]] = {}
        self._offers: asyncio.Queue[Offer] = asyncio.Queue()
        self.subscribe_transports: dict[str, str] = {}
        self.version = 0

    def _hear(self, message: FromWorker) -> None:
        self._news.set()
        if isinstance(message, Offer):
            self._offers.put_nowait(message)
            if message.direction == "subscribe":
                self.subscribe_transports[message.member] = message.transport
        elif isinstance(message, Presence):
            self.presence = {m.member: (m.connected, m.audio, m.video) for m in message.members}

    async def news(self) -> None:
        """Waits for the next message of the worker."""
        self._news.clear()
        await self._news.wait()

    async def carry(self) -> None:
        """Hands every offer to its page and the answer back."""
        while True:
            offer = await self._offers.get()
            page = self.pages[offer.member]
            await page.evaluate("offer => offered(offer)", msgspec.to_builtins(offer))
            for answer in await page.evaluate("drain()"):
                self.link.send(Answer(ROOM, offer.member, answer["transport"], answer["sdp"]))

    def state(self, **publish: list[Any]) -> None:
        """Says who may publish what."""
        self.version += 1
        members = [Member(name, kinds, subscribe=True) for name, kinds in publish.items()]
        self.link.send(RoomState(ROOM, self.version, members))

    def join(self, member: str) -> None:
        """Says that the member's page is ready."""
        self.link.send(Join(ROOM, member, audio=True, video=True, resume=[]))

    async def seen(self, member: str) -> dict[str, Any]:
        """The page's counters."""
        counters: dict[str, Any] = await self.pages[member].evaluate("inbound()")
        return counters

    async def watch(
        self, member: str, enough: Callable[[dict[str, Any]], bool], what: str
    ) -> dict[str, Any]:
        """Reads the page's counters until they suffice."""
        end = time.monotonic() + PATIENCE_S
        while True:
            counters = await self.seen(member)
            if enough(counters):
                return counters
            if time.monotonic() > end:
                raise TimeoutError(f"{what}: {counters}")
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def served_page(host: str = "127.0.0.1") -> Any:
    """The page over http; on loopback the browser grants a camera."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = PAGE.read_bytes()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, host, 0)
    async with server:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}/"


async def open_page(browser: Browser, url: str, camera: str = "640, 480") -> Page:
    """A page of its own person, camera and microphone on."""
    page = await (await browser.new_context()).new_page()
    page.on("console", lambda message: print("console:", message.text))
    await page.goto(url)
    await page.evaluate(f"ready({camera})")
    return page


async def settled(scene: Scene, member: str) -> dict[str, Any]:
    """The page's counters once what was under way has come: no packet for half a second."""
    last, same = await scene.seen(member), 0
    async with asyncio.timeout(PATIENCE_S):
        while same < SETTLED_POLLS:
            await asyncio.sleep(POLL_S)
            now = await scene.seen(member)
            same = same + 1 if now["packets"] == last["packets"] else 0
            last = now
    return last


async def play(scene: Scene, worker: Worker, browser: Browser, url: str) -> dict[str, float]:
    """The visit: both meet, the network changes, the grant goes and returns, a page reloads."""
    everything = ["audio", "video"]
    for name in ("doctor", "patient"):
        scene.pages[name] = await open_page(browser, url)
    began = time.monotonic()
    scene.state(doctor=everything, patient=everything)
    scene.join("doctor")
    scene.join("patient")
    await scene.watch("doctor", lambda c: c["frames"] > 0, "first frame")
    first_frame_s = time.monotonic() - began
    result = {"first_frame_s": first_frame_s}
    for name in ("doctor", "patient"):
        seen = await scene.watch(name, lambda c: c["frames"] >= 40, f"frames of {name}")
        result[f"frames_{name}"] = seen["frames"]
        seen = await scene.watch(name, lambda c: c["peak"] > 0.05, f"sound of {name}")
        result[f"loudness_{name}"] = seen["peak"]

    before = await scene.pages["doctor"].evaluate("remoteUfrags()")
    scene.link.send(Restart(ROOM, "doctor", scene.subscribe_transports["doctor"]))
    frames = (await scene.seen("doctor"))["frames"]
    seen = await scene.watch("doctor", lambda c: c["frames"] >= frames + 20, "after the restart")
    result["frames_after_restart"] = seen["frames"] - frames
    result["restarted_ufrag"] = float(
        before != await scene.pages["doctor"].evaluate("remoteUfrags()")
    )

    scene.state(doctor=everything, patient=[])
    async with asyncio.timeout(PATIENCE_S):
        while scene.presence["patient"][1:] != (False, False):
            await scene.news()
    silent = await settled(scene, "doctor")
    refused = worker.stats().dropped_no_grant
    await asyncio.sleep(1)  # the measured second: nothing can announce that nothing comes
    result["packets_without_grant"] = (await scene.seen("doctor"))["packets"] - silent["packets"]
    result["packets_refused"] = worker.stats().dropped_no_grant - refused
    scene.state(doctor=everything, patient=everything)
    frames = silent["frames"]
    await scene.watch("doctor", lambda c: c["frames"] >= frames + 20, "after the grant returned")

    await scene.pages["patient"].goto(url)
    await scene.pages["patient"].evaluate("ready()")
    scene.join("patient")
    frames = (await scene.seen("doctor"))["frames"]
    seen = await scene.watch("doctor", lambda c: c["frames"] >= frames + 20, "after the reload")
    result["frames_after_reload"] = seen["frames"] - frames
    return result


async def main(
    play: Callable[[Scene, Worker, Browser, str], Awaitable[dict[str, Any]]],
    *flags: str,
) -> None:
    """Everything on loopback, everything closed at the end."""
    with tempfile.TemporaryDirectory(prefix="rtc-") as folder:
        path = Path(folder) / "link.sock"
        worker = Worker(path, "127.0.0.1", 0, ("127.0.0.1",))
        async with worker, served_page() as url, async_playwright() as playwright:
            scene = Scene(path)
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=[*FLAGS, *flags]
            )
            async with scene.link, asyncio.TaskGroup() as group:
                carrier = group.create_task(scene.carry())
                async with asyncio.timeout(PATIENCE_S):
                    await scene.up.wait()
                result = await play(scene, worker, browser, url)
                carrier.cancel()
            await browser.close()
            result["dropped_send"] = worker.stats().dropped_send
    print(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main(play))
