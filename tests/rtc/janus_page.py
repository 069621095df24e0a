"""A raw client's page for engines that want the publisher's own offer."""

import asyncio
from collections.abc import Callable

from bench.rtc_peer import Peer
from rtc.messages import Answer, Offer
from rtc.sdp import OPUS, VP8
from tests.rtc.raw_client import Source

ADDRESS = "10.77.0.1"  # scripts/loopback's
PAYLOAD: dict[str, int] = {"audio": OPUS, "video": VP8}
LOUD, SILENT = 20, 127  # -dBov


def told(packet: bytes, level: int) -> bytes:
    """The packet with the loudness of RFC 6464 in extension 1."""
    head = bytes([packet[0] | 0x10]) + packet[1:12]
    return head + b"\xbe\xde\x00\x01\x10" + bytes([level, 0, 0]) + packet[12:]


class Page:
    """A member's page: offers what it sends, answers what it is offered."""

    def __init__(
        self,
        room: str,
        member: str,
        say: Callable[[Answer], object],
        changed: asyncio.Event,
    ) -> None:
        self.room, self.member = room, member
        self._say_to, self._changed = say, changed
        self.offers: list[Offer] = []
        self.publish: Peer | None = None
        self.watch: Peer | None = None
        self.sources: dict[str, Source] = {}
        self.level = SILENT  # of the voice, as it is told
        self.edit: Callable[[str], str] = str  # of its own offer
        self.tasks: set[asyncio.Task[None]] = set()

    def offered(self, offer: Offer) -> None:
        """Takes an offer, in its turn."""
        self.offers.append(offer)
        before = list(self.tasks)
        task = asyncio.create_task(self._take(offer, before))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _take(self, offer: Offer, before: list[asyncio.Task[None]]) -> None:
        await asyncio.gather(*before)
        if offer.direction == "subscribe":
            if self.watch is None or self.watch.id != offer.transport:
                self.watch = Peer(offer)
                await self.watch.open(ADDRESS)
            else:
                self.watch.take(offer)
            self._say(offer, self.watch.answer())
            await self._connect(self.watch)
        elif offer.reply:
            assert self.publish is not None
            self.publish.take(offer)
            await self._connect(self.publish)
        else:
            if self.publish is None or self.publish.id != offer.transport:
                self.publish = Peer(direction="publish")
                self.publish.id = offer.transport
                await self.publish.open(ADDRESS)
                ssrcs = self.publish.ssrcs
                self.sources = {kind: Source(kind, ssrcs[PAYLOAD[kind]]) for kind in PAYLOAD}
            self._say(offer, self.edit(self.publish.offer_sdp()))

    def _say(self, offer: Offer, sdp: str) -> None:
        self._say_to(Answer(self.room, self.member, offer.transport, sdp))

    async def _connect(self, peer: Peer) -> None:
        if peer._dtls is None:
            await peer.connect()
        self._changed.set()

    def send(self, *, key: bool) -> None:
        """A packet of each kind, granted or not."""
        if self.publish is not None and self.publish._dtls is not None:
            for kind, source in self.sources.items():
                packet = source.next(key=key)
                self.publish.send_rtp(told(packet, self.level) if kind == "audio" else packet)

    def line(self, member: str, kind: str) -> int:
        """The SSRC of a line."""
        assert self.watch is not None
        offered = next(each for each in reversed(self.offers) if each.direction == "subscribe")
        mid = next(
            each.mid for each in offered.tracks if (each.member, each.kind) == (member, kind)
        )
        section = next(
            part for part in self.watch.offer.split("\nm=") if f"\na=mid:{mid}\r" in part
        )
        return int(section.split("\na=ssrc:")[1].split(" ")[0])

    def got(self, member: str, kind: str) -> int:
        """How many packets have come on a line."""
        assert self.watch is not None
        return self.watch.received[self.line(member, kind)].count

    async def close(self) -> None:
        """The page is gone, with a goodbye."""
        for task in list(self.tasks):
            task.cancel()
        for peer in (self.publish, self.watch):
            if peer is not None:
                await peer.close()
