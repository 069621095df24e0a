"""From the wish to join to the first decoded frame, beside Janus; joins at the two take turns.

Ours is told over the worker's link, Janus over HTTP, as each is driven by its application.
"""

import asyncio
import statistics
import time
from contextlib import AsyncExitStack

from aiortc.codecs.vpx import Vp8Decoder, vp8_depayload
from aiortc.jitterbuffer import JitterFrame

from bench import janus
from bench.harness import Row, at_most, percentile
from bench.rtc_clip import clip
from bench.rtc_load import Publisher
from bench.rtc_peer import Peer
from bench.rtc_servers import Server, ours
from rtc.key_frames import is_vp8_key_frame, payload_at
from rtc.sdp import VP8

JOINS = 20
APART_S = 0.6  # a key frame is asked for at most every half second
PHASE_S = 0.007  # the joins meet the publisher's frames at different moments
LONGEST_S = 30.0
LOAD_A = (640, 480, 1_000_000)


class FirstFrame:
    """Puts the packets of the first key frame together and decodes it."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._looked_at: dict[int, int] = {}
        self._parts: list[bytes] = []

    def decoded(self) -> bool:
        """Whether the first picture is there, from what arrived until now."""
        return any(self._look(packet) for packet in self._new())

    def _new(self) -> list[bytes]:
        new = []
        for ssrc, track in list(self._peer.received.items()):
            new += track.packets[self._looked_at.get(ssrc, 0) :]
            self._looked_at[ssrc] = len(track.packets)
        return new

    def _look(self, packet: bytes) -> bool:
        if packet[1] & 0x7F != VP8:
            return False
        if is_vp8_key_frame(memoryview(packet)):
            self._parts.clear()
        elif not self._parts:
            return False
        self._parts.append(packet[payload_at(memoryview(packet)) :])
        if not packet[1] & 0x80:
            return False
        whole = b"".join(map(vp8_depayload, self._parts))
        return bool(Vp8Decoder().decode(JitterFrame(whole, 0)))


async def join(server: Server) -> float:
    """Seconds of one join."""
    began = time.monotonic()
    peer = await server.viewer()
    await peer.until(FirstFrame(peer).decoded)
    took = time.monotonic() - began
    await server.leave(peer)
    return took


async def measure() -> list[Row]:
    """The row of joins."""
    times: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        servers: list[Server] = [
            await stack.enter_async_context(ours()),
            await stack.enter_async_context(janus.janus()),
        ]
        publishing = []
        for server in servers:
            publisher = Publisher(await server.publisher(), clip(*LOAD_A))
            stack.push_async_callback(publisher.peer.close)
            publishing.append(asyncio.create_task(publisher.run(LONGEST_S * JOINS)))
            stack.callback(publishing[-1].cancel)
        for n in range(JOINS):
            for server in servers:
                await asyncio.sleep(APART_S / len(servers) + PHASE_S * n)
                async with asyncio.timeout(LONGEST_S):
                    times.setdefault(server.name, []).append(await join(server))

    def p90(name: str) -> float:
        return percentile(times[name], 0.9)

    own, peer = (statistics.median(times[server.name]) for server in servers)
    return [
        at_most("join", own / peer, "x Janus, to the first decoded frame", bar=1.2),
        at_most("join.s", own, "s, median of 20", bar=1.0, peer=peer),
        Row("join.p90", p90(servers[0].name), "s", p90(servers[1].name)),
    ]
