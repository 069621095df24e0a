"""Half an hour of joins and leaves: do memory and descriptors of the media workers stay flat?

`make soak` (SOAK_MINUTES, 30 by default). Two real worker processes with the stores of the product;
a lesson that is recorded, a lesson in three layers, three visits. All the time members leave and
join anew, the floor moves, packets are lost and sent again, and rooms end and others begin. Every
minute a line for each worker; at the end exit code 1 unless the last third is as the one before:
memory at most 2 % and 1 MB more, descriptors no more.
"""

import asyncio
import os
import random
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import mean
from typing import Any

from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
)

from bench.rtc_servers import free_port, resident
from bench.stores import running_stores
from rtc import rtx, twcc
from rtc.extensions import TRANSPORT_WIDE, element
from rtc.layer import nack
from rtc.link import MediaLink
from rtc.messages import (
    FromWorker,
    Join,
    Kind,
    Leave,
    Offer,
    Recording,
    RoomState,
    SegmentClosed,
    SegmentStored,
    Stats,
    StatsAsk,
    TakeClosed,
    TakeStored,
    together,
)
from rtc.simulcast import RIDS
from rtc.track import PSFB_PLI, RTPFB_NACK
from tests.rtc.media_house import MediaHouse, both
from tests.rtc.raw_client import RawPage, RawTransport, Source
from tests.rtc.recording_live import teach

MINUTES = float(os.environ.get("SOAK_MINUTES", "30"))
WORKERS = 2
BEAT_S = 0.04  # 25 packets of sound a second, and every third beat a picture
LOST = 0.02
KEPT = 200
MEMBERS = 4
MOVE_EVERY_S = 4.0  # somebody leaves and comes back, or the floor moves
ROOM_LIVES_S = 40.0
TAKE_S = 60.0
MOST_GROWTH, MOST_GROWTH_BYTES = 1.02, 1_000_000
SAMPLES = 12  # at least so many, however short it is


class SoakTransport(RawTransport):
    """A browser's end that keeps nothing: reports, tells arrivals, asks again now and then."""

    numbers = True

    def __init__(self, offer: Offer, *, count_only: bool = False) -> None:
        super().__init__(offer, count_only=count_only)
        self.packets = 0
        self._newest: dict[int, int] = {}
        self._arrivals = twcc.Arrivals()
        self._told_at = 0.0

    def _media(self, data: bytes) -> None:
        if 192 <= data[1] <= 223:
            super()._media(data)
            self.rtcp.clear()
            return
        packet = memoryview(self._rx.unprotect(data))
        self.packets += 1
        now = time.monotonic()
        at = element(packet, TRANSPORT_WIDE)
        if at:
            self._arrivals.put(packet[at] << 8 | packet[at + 1], now)
        ssrc, sequence = int.from_bytes(packet[8:12], "big"), packet[2] << 8 | packet[3]
        self._newest[ssrc] = sequence
        if random.random() < LOST:  # noqa: S311 - no secret
            self.send_rtcp(nack(ssrc, [sequence]))
        if now - self._told_at >= 0.1:
            self._told_at = now
            self._tell(now)

    def _tell(self, now: float) -> None:
        for each in self._arrivals.feedback(now):
            self.send_rtcp(twcc.pack(7, next(iter(self._newest)), each))
        reports = [RtcpReceiverInfo(s, 0, 0, n, 0, 0, 0) for s, n in self._newest.items()]
        self.send_rtcp(bytes(RtcpRrPacket(7, reports[:8])))


class SoakPage(RawPage):
    """A page whose transports keep nothing."""

    make = SoakTransport
    numbers = True

    def offered(self, offer: Offer) -> None:
        """See RawPage."""
        super().offered(offer)
        self.offers.clear()


class SoakHouse(MediaHouse):
    """The API's part, which acknowledges recordings and remembers little."""

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__(paths[0])
        self.link = MediaLink(paths, self._hear, self._up, self._down)
        self.segments = 0
        self.counted: dict[str, Stats] = {}

    def _hear(self, message: FromWorker) -> None:
        super()._hear(message)
        del self.heard[:-20]
        if isinstance(message, SegmentClosed):
            self.segments += 1
            self.link.send(SegmentStored(message.room, message.take, message.start_ms))
        elif isinstance(message, Stats):
            self.counted[message.worker_id] = message
        elif isinstance(message, TakeClosed):
            self.link.send(TakeStored(message.room, message.take))


def named(packet: bytes, rid: str) -> bytes:
    """The packet as that of a layer (extension 10)."""
    head = b"\xbe\xde\x00\x01" + bytes([10 << 4 | len(rid) - 1]) + rid.encode() + bytes(2)
    return bytes([packet[0] | 0x10]) + packet[1:12] + head + packet[12:]


class Sender:
    """Sends voice and pictures, loses some and sends them again when asked; keys on request."""

    def __init__(self, transport: RawTransport, codec: str, rids: Sequence[str] = ("",)) -> None:
        self._transport = transport
        self._voice = Source("audio")
        self._pictures = [(rid, Source("video", codec=codec)) for rid in rids]
        self._key = True
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._repairs = count(1)
        transport.on_rtcp = self._rtcp

    async def run(self) -> None:
        """Sends until it is cancelled."""
        for beat in count():
            self._transport.send_rtp(self._voice.next())
            if beat % 3 == 0:
                key, self._key = self._key, False
                for n, (rid, source) in enumerate(self._pictures):
                    packet = source.next(key=key, size=200 << n)
                    self._send(named(packet, rid) if rid else packet)
            await asyncio.sleep(BEAT_S)

    def _send(self, packet: bytes) -> None:
        key = int.from_bytes(packet[8:12], "big"), packet[2] << 8 | packet[3]
        self._kept[key] = packet
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        if random.random() >= LOST:  # noqa: S311
            self._transport.send_rtp(packet)

    def _rtcp(self, data: bytes) -> None:
        with suppress(ValueError, IndexError):
            for each in RtcpPacket.parse(data):
                if isinstance(each, RtcpPsfbPacket) and each.fmt == PSFB_PLI:
                    self._key = True
                elif isinstance(each, RtcpRtpfbPacket) and each.fmt == RTPFB_NACK:
                    self._repair(each.media_ssrc, each.lost)

    def _repair(self, ssrc: int, lost: Sequence[int]) -> None:
        for sequence in lost:
            packet = self._kept.get((ssrc, sequence & 0xFFFF))
            if packet is not None and not packet[0] & 0x10:  # a layer's names itself otherwise
                number = next(self._repairs) & 0xFFFF
                self._transport.send_rtp(bytes(rtx.wrap(packet, ssrc ^ 0x55, number)))


@dataclass
class Room:
    """One room under way: its pages, and who sends."""

    house: SoakHouse
    name: str
    lesson: bool
    recorded: bool = False
    recording: Recording | None = None
    layers: tuple[str, ...] = ("",)
    members: list[str] = field(default_factory=list)
    pages: dict[str, SoakPage] = field(default_factory=dict)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    floor: str | None = None

    @property
    def first(self) -> str:
        """The presenter of a lesson."""
        return self.members[0]

    def say(self) -> None:
        """Tells the worker who may do what."""
        if not self.lesson:
            self.house.state(*map(both, self.members), room=self.name)
            return
        grants: dict[str, list[Kind]] = {member: [] for member in self.members}
        grants[self.first] = ["audio", "video"]
        if self.floor is not None:
            grants[self.floor] = ["audio", "video"]
        who, take = self.first, self.recording
        self.house.lesson(grants, presenter=who, recording=take, room=self.name)

    def take(self) -> None:
        """A new take of a lesson that is recorded."""
        if self.recorded:
            self.recording = Recording(f"take-{time.time_ns()}", time.time(), 0)

    def join(self, member: str) -> None:
        """A page comes."""
        house = self.house

        def say_answer(transport: str, sdp: str) -> None:
            house.answer(member, transport, sdp, room=self.name)

        page = self.pages[member] = SoakPage(member, say_answer)
        page.layers = self.layers if member == self.members[0] and self.layers != ("",) else ()
        house.pages[member] = page
        house.link.send(Join(self.name, member, audio=True, video=True, resume=[]))
        self.tasks[member] = asyncio.create_task(self._send(member, page))

    async def _send(self, member: str, page: SoakPage) -> None:
        with suppress(TimeoutError):  # a pupil without the floor publishes nothing
            transport = await page.publishing()
            if self.recorded and member == self.first:
                await teach(transport)
            layers = self.layers if member == self.members[0] else ("",)
            await Sender(transport, "h264" if self.lesson else "vp8", layers).run()

    async def leave(self, member: str) -> None:
        """A page goes."""
        self.tasks.pop(member).cancel()
        self.house.link.send(Leave(self.name, member))
        await self.pages.pop(member).close()
        self.house.pages.pop(member, None)

    async def live(self, until: float) -> None:
        """Joins, leaves and moves until then; ends with the room. One take follows another."""
        self.take()
        self.say()
        for member in self.members:
            self.join(member)
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(MOVE_EVERY_S, left))
            if self.recording and time.time() - self.recording.started_at > TAKE_S:
                self.take()
                self.say()
            who = random.choice(self.members[1:])  # noqa: S311
            if self.lesson and random.random() < 0.5:  # noqa: S311
                self.floor = who if self.floor is None else None
                self.say()
            else:
                await self.leave(who)
                self.join(who)
        for member in [*self.pages]:
            await self.leave(member)
        self.house.version += 1
        self.house.link.send(RoomState(self.name, self.house.version, []))


async def rooms(make: Callable[[str], Room], until: float, lives_s: float) -> None:
    """One room after the other."""
    for n in count():
        now = time.monotonic()
        if now >= until:
            return
        await make(f"soak-{n}").live(min(until, now + lives_s))


@asynccontextmanager
async def workers(home: Path) -> AsyncIterator[list[int]]:
    """The processes of a house's media workers."""
    env = {
        **os.environ,
        "YANASHA_HOME": str(home),
        "YANASHA_HOST": "127.0.0.1",
        "YANASHA_RTC_PORT": str(free_port()),
        "YANASHA_RTC_WORKERS": str(WORKERS),
    }
    processes = []
    try:
        for number in range(WORKERS):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rtc", str(number)),
                env=env,
                stdout=asyncio.subprocess.PIPE,
            )
            processes.append(process)
            assert process.stdout is not None
            assert b"ready" in await process.stdout.readline()
        yield [process.pid for process in processes]
    finally:
        for process in processes:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


def flat(resident_bytes: Sequence[float], descriptors: Sequence[int]) -> list[str]:
    """What is not flat: the last third of the samples against the one before."""
    third = len(resident_bytes) // 3
    before, after = mean(resident_bytes[third : 2 * third]), mean(resident_bytes[-third:])
    found = []
    if after > before * MOST_GROWTH + MOST_GROWTH_BYTES:
        found.append(f"memory grew from {before / 1e6:.1f} to {after / 1e6:.1f} MB")
    most, most_before = max(descriptors[-third:]), max(descriptors[third : 2 * third])
    if most > most_before:
        found.append(f"descriptors grew from {most_before} to {most}")
    return found


async def watch(pids: Sequence[int], house: SoakHouse, until: float) -> list[str]:
    """A line a worker and minute; what was not flat at the end."""
    every_s = min(60.0, 60 * MINUTES / SAMPLES)
    seen: dict[int, list[tuple[int, int]]] = {pid: [] for pid in pids}
    began = time.monotonic()
    while time.monotonic() < until:
        house.link.send(StatsAsk())
        # Uploads and joins hold descriptors for a moment: the least of some looks is what stays.
        looks: dict[int, list[tuple[int, int]]] = {pid: [] for pid in pids}
        await asyncio.sleep(max(0.0, every_s - 1.0))
        for _ in range(5):
            await asyncio.sleep(0.2)
            for pid in pids:
                looks[pid].append((resident(pid), len(os.listdir(f"/proc/{pid}/fd"))))  # noqa: PTH208
        for number, pid in enumerate(pids):
            one = min(each[0] for each in looks[pid]), min(each[1] for each in looks[pid])
            seen[pid].append(one)
            minutes = (time.monotonic() - began) / 60
            said = f"{minutes:6.1f} min  worker {number}  {one[0] / 1e6:7.1f} MB  {one[1]:3d} fds"
            sys.stdout.write(f"{said}  pages {len(house.pages)}  segments {house.segments}\n")
            sys.stdout.flush()
    return [
        f"worker {number}: {what}"
        for number, pid in enumerate(pids)
        for what in flat([each[0] for each in seen[pid]], [each[1] for each in seen[pid]])
    ]


async def soak(home: Path) -> int:
    """The exit code."""
    until = time.monotonic() + 60 * MINUTES
    async with AsyncExitStack() as stack:
        pids = await stack.enter_async_context(workers(home))
        house = SoakHouse([home / "run" / f"rtc-{number}.sock" for number in range(WORKERS)])
        await stack.enter_async_context(house.link)
        await house.until(lambda: len(house.ups) >= WORKERS, 30)

        def lesson(name: str, **more: Any) -> Room:
            people = [f"{name}.t", *(f"{name}.p{n}" for n in range(MEMBERS))]
            return Room(house, name, lesson=True, members=people, **more)

        def visit(name: str) -> Room:
            return Room(house, name, lesson=False, members=[f"{name}.d", f"{name}.p"])

        ends = until + 10.0  # the last look is at full rooms too
        moves = [
            # It stays where it is: a worker that begins to record loads what reaches the store.
            lesson("recorded", recorded=True).live(ends),
            rooms(lambda name: lesson(f"sim-{name}", layers=RIDS), ends, ROOM_LIVES_S),
            *(
                rooms(lambda name, n=n: visit(f"visit{n}-{name}"), ends, ROOM_LIVES_S)  # type: ignore[misc]
                for n in range(3)
            ),
        ]
        moving = asyncio.gather(*moves)
        found = await watch(pids, house, until)
        await moving
    moved = together(house.counted.values())
    if not (moved.packets_out and moved.resent and house.segments):
        found.append("nothing was sent, sent again or recorded")
    sys.stdout.write(
        f"{moved.packets_in} packets in, {moved.packets_out} out, {moved.resent} sent again,"
        f" {house.segments} segments recorded\n"
    )
    for line in found:
        sys.stdout.write(f"NOT FLAT  {line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    with running_stores() as stores:
        sys.exit(asyncio.run(soak(stores.home)))
