"""Viewers a core at 1 Mbit/s: our worker beside aiortc's MediaRelay, which decodes and encodes.

`python -m bench.rtc_relay` is the relay itself: SDP offers on stdin, answers on stdout, a JSON
string a line; the first client publishes, the others watch.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaRelay

from bench.harness import Row, at_least
from bench.rtc_clip import clip
from bench.rtc_fwd import SHARE, Stage, stage
from bench.rtc_join import LOAD_A
from bench.rtc_peer import Peer
from bench.rtc_servers import ADDRESS, ours, pinned, stopped
from rtc.messages import Direction, Offer

OUR_VIEWERS, RELAY_VIEWERS = 60, 2
SECONDS = 8.0
VIEWER_BPS = 1_000_000
LINE_BYTES = 1 << 20


class RelayServer:
    """aiortc's own way of serving many, in a process of its own."""

    name = "relay"

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.pid = process.pid
        self._in, self._out = process.stdin, process.stdout

    async def publisher(self) -> Peer:
        """The client whose tracks are relayed."""
        return await self._client("publish")

    async def viewer(self) -> Peer:
        """A client whose link carries a megabit: else the encoder stays at half of it."""
        peer = await self._client("subscribe")
        peer.carried_bps = VIEWER_BPS
        return peer

    async def leave(self, peer: Peer) -> None:
        """Closes one client."""
        await peer.close()

    async def _client(self, direction: Direction) -> Peer:
        peer = Peer(direction=direction)
        await peer.open(ADDRESS)
        self._in.write(json.dumps(peer.offer_sdp()).encode() + b"\n")
        answer = json.loads(await self._out.readline())
        peer.take(Offer("bench", "peer", "", direction, answer, []))
        await peer.connect()
        return peer


@asynccontextmanager
async def relay() -> AsyncIterator[RelayServer]:
    """The relay on the servers' core."""
    process = await asyncio.create_subprocess_exec(
        *pinned(sys.executable, "-m", "bench.rtc_relay"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    async with stopped(process):
        yield RelayServer(process)


async def measure() -> list[Row]:
    """The row of viewers a core."""
    picture = clip(*LOAD_A)
    async with ours() as server, stage(server, picture, OUR_VIEWERS) as built:
        await built.turn(SECONDS)
        own, share = OUR_VIEWERS / built.cores[0], built.shares[0]
    async with relay() as mixing, stage(mixing, picture, RELAY_VIEWERS) as built:
        frames = await relayed_frames(built)
        peer = RELAY_VIEWERS * frames / built.cores[0]
    return [
        at_least("fwd.relay", own / peer, "x MediaRelay, viewers a core", bar=100),
        Row("fwd.relay.viewers", own, "viewers a core at 1 Mbit/s", peer),
        at_least("fwd.relay.delivered", share, "of sent", bar=SHARE, peer=frames),
    ]


async def relayed_frames(built: Stage) -> float:
    """One turn at the relay; the share of the frames its viewers got."""
    before = sum(each.frames for each in built.viewers)
    published = built.publisher.frames
    await built.turn(SECONDS)
    got = sum(each.frames for each in built.viewers) - before
    return got / ((built.publisher.frames - published) * RELAY_VIEWERS)


async def serve() -> None:
    """The relay: answers offers until stdin ends."""
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    media, tracks, connections = MediaRelay(), list[MediaStreamTrack](), list[RTCPeerConnection]()
    while line := await reader.readline():
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connections.append(connection)
        if len(connections) == 1:
            connection.on("track", tracks.append)
        else:
            for track in tracks:
                connection.addTrack(media.subscribe(track))
        await connection.setRemoteDescription(RTCSessionDescription(json.loads(line), "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        sys.stdout.write(json.dumps(connection.localDescription.sdp) + "\n")
        sys.stdout.flush()
    for connection in connections:
        await connection.close()


if __name__ == "__main__":
    asyncio.run(serve())
