"""Decoded frames at 5 % random loss each way against none, at a viewer made of aiortc's own parts.

A relay with a seeded chance of loss lies between the worker and both clients: the viewer is an
aiortc peer connection that decodes, the publisher the bench's own client. Loss begins once both
are connected; everything is lost alike: media, reports, requests, resends, checks.
"""

import asyncio
import random
import re
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from bench.harness import Row, at_least
from bench.rtc_clip import clip
from bench.rtc_join import LOAD_A
from bench.rtc_load import Publisher
from bench.rtc_servers import ADDRESS, OurServer, ours
from rtc.messages import Offer

LOSS = 0.05
SEED = 5
WARM_S, SECONDS, DRAIN_S = 3.0, 12.0, 1.0
CONNECTED_WITHIN_S = 10.0


class LossyLink:
    """A UDP relay in front of one server address; each client gets a socket of its own there."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.loss = 0.0
        self.passed = self.lost = 0
        self._random = random.Random(SEED)  # noqa: S311 - a repeatable network, not a secret
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._front = self._bind()
        self._clients: dict[tuple[str, int], socket.socket] = {}
        self.address: tuple[str, int] = self._front.getsockname()
        self._loop.add_reader(self._front, self._from_clients)

    def _bind(self) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.bind((ADDRESS, 0))
        return sock

    def _passes(self) -> bool:
        lost = self._random.random() < self.loss
        self.lost += lost
        self.passed += not lost
        return not lost

    def _from_clients(self) -> None:
        try:
            while True:
                data, client = self._front.recvfrom(2048)
                if client not in self._clients:
                    self._clients[client] = behind = self._bind()
                    self._loop.add_reader(behind, self._from_server, behind, client)
                if self._passes():
                    self._clients[client].sendto(data, self._server)
        except (BlockingIOError, ConnectionError):
            return

    def _from_server(self, behind: socket.socket, client: tuple[str, int]) -> None:
        try:
            while True:
                data = behind.recv(2048)
                if self._passes():
                    self._front.sendto(data, client)
        except (BlockingIOError, ConnectionError):
            return

    def close(self) -> None:
        """Closes all sockets."""
        for sock in (self._front, *self._clients.values()):
            self._loop.remove_reader(sock)
            sock.close()


class Decoder:
    """A viewer made of aiortc: answers the worker's offers and counts the pictures it decodes."""

    def __init__(self, server: OurServer, link: LossyLink) -> None:
        self.member = "decoder"
        self.frames = 0
        self.connected = asyncio.Event()
        self._server, self._link = server, link
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connection.on("track", self._track)
        self._connection.on("connectionstatechange", self._changed)
        self._tasks: set[asyncio.Task[None]] = set()

    def _changed(self) -> None:
        if self._connection.connectionState == "connected":
            self.connected.set()

    def _track(self, track: MediaStreamTrack) -> None:
        self._tasks.add(asyncio.create_task(self._watch(track)))

    async def _watch(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                await track.recv()
                self.frames += track.kind == "video"
        except MediaStreamError:
            return

    def offered(self, offer: Offer) -> None:
        """Takes an offer from the signalling."""
        self._tasks.add(asyncio.create_task(self._answer(offer)))

    async def _answer(self, offer: Offer) -> None:
        sdp = through(self._link, offer.sdp)
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        sdp = self._connection.localDescription.sdp
        self._server.answer(self.member, offer.transport, sdp)

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()
        for task in self._tasks:
            task.cancel()


def through(link: LossyLink, sdp: str) -> str:
    """The offer with the link's address in place of the worker's."""
    host, port = link.address
    return re.sub(r"(?m)^(a=candidate:\d+ 1 udp \d+) \S+ \d+", rf"\1 {host} {port}", sdp)


@asynccontextmanager
async def scene(server: OurServer) -> AsyncIterator[tuple[LossyLink, Publisher, Decoder]]:
    """A publisher and a decoding viewer, both behind the link."""
    async with AsyncExitStack() as stack:
        link = LossyLink((ADDRESS, server.port))
        stack.callback(link.close)
        peer = await server.publisher(lambda sdp: through(link, sdp))
        stack.push_async_callback(peer.close)
        decoder = Decoder(server, link)
        stack.push_async_callback(decoder.close)
        server.seat(decoder)
        async with asyncio.timeout(CONNECTED_WITHIN_S):
            await decoder.connected.wait()
        yield link, Publisher(peer, clip(*LOAD_A)), decoder


async def decoded(loss: float) -> tuple[float, Publisher]:
    """Share of the published frames that the viewer decoded."""
    async with ours() as server, scene(server) as (link, publisher, decoder):
        await publisher.run(WARM_S)
        link.loss = loss
        before, published = decoder.frames, publisher.frames
        await publisher.run(SECONDS)
        link.loss = 0.0
        # What is under way may still come; the sound keeps a browser's clock running.
        await asyncio.sleep(DRAIN_S)
        return (decoder.frames - before) / (publisher.frames - published), publisher


async def measure() -> list[Row]:
    """The row of loss."""
    clean, _ = await decoded(0.0)
    lossy, publisher = await decoded(LOSS)
    return [
        at_least("loss.5", lossy / clean, "decoded frames, of those without loss", bar=0.95),
        Row("loss.5.frames", lossy, "decoded, of published", clean),
        Row("loss.5.repeated", publisher.repeated, "packets the publisher was asked for again"),
        Row("loss.5.keys", publisher.key_frames_asked, "key frames asked for"),
    ]
