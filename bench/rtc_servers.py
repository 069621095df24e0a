"""The servers under the media bench: each a process of its own, pinned to the first core."""

import asyncio
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psutil

from bench.rtc_peer import Peer
from rtc.messages import Offer
from tests.rtc.media_house import MediaHouse, both, connected_to, watcher
from tests.rtc.raw_client import RawPage, RawTransport

ADDRESS = "10.77.0.1"  # scripts/loopback's; Janus and aiortc will not use a loopback interface
ROOM = "bench"
Route = Callable[[str], str]
CORES = sorted(os.sched_getaffinity(0))


def clients_core() -> None:
    """Moves this process, where the clients run, away from the servers' core."""
    if len(CORES) > 1:
        os.sched_setaffinity(0, CORES[1:])


def pinned(*command: str) -> list[str]:
    """The command, on the servers' core."""
    if len(CORES) < 2 or shutil.which("taskset") is None:
        return [*command]
    return ["taskset", "-c", str(CORES[0]), *command]


def free_port() -> int:
    """A port that was free a moment ago, for UDP and TCP as good."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def reachable() -> bool:
    """Whether the address the servers need is ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ADDRESS, 0))
        except OSError:
            return False
    return True


@asynccontextmanager
async def stopped(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """Ends the process with the block."""
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def cpu_s(pid: int) -> float:
    """User and system time of a process and all its threads."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def resident(pid: int) -> int:
    """Bytes of the process's memory that are resident."""
    return int(psutil.Process(pid).memory_info().rss)


class Server(Protocol):
    """What a part of the bench asks of whichever server it measures."""

    name: str
    pid: int

    async def publisher(self) -> Peer: ...
    async def viewer(self) -> Peer: ...
    async def leave(self, peer: Peer) -> None: ...


Opened = AbstractAsyncContextManager[Server]


class BenchPeer(Peer):
    """A Peer where the raw page makes its transports."""

    def __init__(self, offer: Offer, *, count_only: bool = False) -> None:
        super().__init__(offer)
        self.count_only = count_only


class BenchPage(RawPage):
    """A page of the bench: its answers name an address, so the socket is opened first."""

    make = BenchPeer
    route: Route = str

    def offered(self, offer: Offer) -> None:
        """As RawPage's, with the offer's addresses as the bench wants them."""
        transport = self.transports.get(offer.transport)
        if isinstance(transport, Peer) and transport.closed:
            return
        super().offered(msgspec.structs.replace(offer, sdp=self.route(offer.sdp)))

    async def _connect(self, transport: RawTransport) -> None:
        await transport.open(ADDRESS)
        await super()._connect(transport)


class OurServer:
    """Our worker, driven over its link as the API does."""

    def __init__(self, house: MediaHouse, pid: int, name: str, port: int, said: str) -> None:
        self.house, self.pid, self.name, self.port = house, pid, name, port
        self.in_c = "in Python" not in said  # what the worker wrote until it was ready
        self._viewers: list[str] = []
        self._numbers = count()
        self._pages: dict[Peer, RawPage] = {}

    def _state(self) -> None:
        self.house.state(both("publisher"), *map(watcher, self._viewers), room=ROOM)

    def _page(self, name: str, route: Route) -> RawPage:
        page = BenchPage(name, lambda id_, sdp: self.answer(name, id_, sdp))
        page.route = route
        self.house.join_as(page, room=ROOM)
        return page

    def answer(self, member: str, transport: str, sdp: str) -> None:
        """Carries a client's answer."""
        self.house.answer(member, transport, sdp, room=ROOM)

    async def publisher(self, route: Route = str) -> Peer:
        """A connected client whose media the room forwards; `route` may change its offers."""
        self._state()
        peer = await self._page("publisher", route).publishing()
        assert isinstance(peer, Peer)
        return peer

    async def viewer(self) -> Peer:
        """A connected client that gets the publisher's media."""
        name = f"viewer-{next(self._numbers)}"
        self._viewers.append(name)
        self._state()
        page = self._page(name, str)
        peer, _ = await page.watching("publisher", "video")
        assert isinstance(peer, Peer)
        self._pages[peer] = page
        return peer

    def seat(self, page: Any) -> None:
        """A viewer who answers offers in his own way; the house closes him at the end."""
        self._viewers.append(page.member)
        self._state()
        self.house.join_as(page, room=ROOM)

    async def leave(self, peer: Peer) -> None:
        """Closes one client."""
        page = self._pages.pop(peer)
        await page.close()
        self._viewers.remove(page.member)
        self._state()


@dataclass(frozen=True)
class Started:
    """One worker's process."""

    pid: int
    port: int
    link: Path
    said: str  # until it was ready


@asynccontextmanager
async def worker(home: str, number: int = 0, fan_out: str = "c") -> AsyncIterator[Started]:
    """Media worker `number` of a house, on the servers' core; `fan_out` is "python" or "c"."""
    port = free_port()
    async with AsyncExitStack() as stack:
        log = stack.enter_context((Path(home) / f"worker-{number}.log").open("w+"))
        process = await asyncio.create_subprocess_exec(
            *pinned(sys.executable, "-m", "rtc", str(number)),
            env={
                **os.environ,
                "YANASHA_HOME": home,
                "YANASHA_HOST": ADDRESS,
                "YANASHA_RTC_ADDRESS": ADDRESS,
                "YANASHA_RTC_PORT": str(port - number),
                "YANASHA_RTC_WORKERS": str(number + 1),
                "YANASHA_RTC_FAN_OUT": fan_out,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        await stack.enter_async_context(stopped(process))
        assert process.stdout is not None
        ready = await process.stdout.readline()
        log.seek(0)
        said = ready.decode() + log.read()
        assert b"ready" in ready, said
        yield Started(process.pid, port, Path(home) / "run" / f"rtc-{number}.sock", said)


@asynccontextmanager
async def ours(fan_out: str = "c") -> AsyncIterator[OurServer]:
    """One of our workers; `fan_out` is "python" or "c"."""
    with tempfile.TemporaryDirectory(prefix="rtc-") as home:
        async with worker(home, 0, fan_out) as one, connected_to(one.link) as house:
            yield OurServer(house, one.pid, f"ours.{fan_out}", one.port, one.said)
