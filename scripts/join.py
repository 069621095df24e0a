"""Join a visit or a lesson with a media client of one's own, as docs/media.md describes it.

    python scripts/join.py https://clinic.example visits ID LOGIN

asks for the password, sends a tone, and prints once a second what arrives. Nothing of the house's
own code is used: aiortc for the media, httpx and websockets for the rest.
"""

import argparse
import asyncio
import fractions
import getpass
import json
import time
import uuid
from collections import Counter
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Origin

RATE_HZ, FRAME_S, TONE_HZ = 48_000, 0.02, 440
SAMPLES = round(RATE_HZ * FRAME_S)


class Tone(MediaStreamTrack):
    """A voice that sings one note."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._began = time.monotonic()

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when it is their time."""
        await asyncio.sleep(self._began + self._sent / RATE_HZ - time.monotonic())
        at = (self._sent + np.arange(SAMPLES)) / RATE_HZ
        wave = (8_000 * np.sin(2 * np.pi * TONE_HZ * at)).astype(np.int16)
        frame = AudioFrame.from_ndarray(wave[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, self._sent
        frame.time_base = fractions.Fraction(1, RATE_HZ)
        self._sent += SAMPLES
        return frame


class Guest:
    """One place in a visit or a lesson; `decoded` counts frames by member and kind."""

    def __init__(self, house: httpx.AsyncClient, room: str) -> None:
        self.decoded: Counter[tuple[str, str]] = Counter()
        self._house, self._room = house, room
        self._peers: dict[str, tuple[str, RTCPeerConnection]] = {}  # by direction
        self._followed: set[MediaStreamTrack] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        answer = await self._house.post(f"/api/v1/{self._room}/ticket")
        ticket = answer.raise_for_status().json()["ticket"]
        base = str(self._house.base_url).rstrip("/")
        url = base.replace("http", "ws", 1)
        self._socket: ClientConnection = await connect(
            f"{url}/ws/{self._room}", origin=Origin(base)
        )
        await self._say(type="hello", ticket=ticket, tab=str(uuid.uuid4()), resume=[])
        await self._say(type="media_ready", audio=True, video=False, screen=False)
        self._tasks.append(asyncio.create_task(self._listen()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._socket.close()
        for _, peer in self._peers.values():
            await peer.close()

    async def _say(self, **message: Any) -> None:
        await self._socket.send(json.dumps(message))

    async def _listen(self) -> None:
        async for data in self._socket:
            message = json.loads(data) if isinstance(data, str) else {}
            if message.get("type") == "offer":
                await self._answer(message)

    async def _answer(self, offer: dict[str, Any]) -> None:
        peer = await self._peer(offer["direction"], offer["transport"])
        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        for line in peer.getTransceivers():
            if offer["direction"] == "publish":
                if line.kind == "audio" and line.sender.track is None:
                    line.sender.replaceTrack(Tone())
                line.direction = "sendonly" if line.kind == "audio" else "inactive"
                continue
            told = next((each for each in offer["tracks"] if each["mid"] == line.mid), None)
            if told is not None and line.receiver.track not in self._followed:
                self._followed.add(line.receiver.track)
                following = self._follow(line.receiver.track, (told["member"], told["kind"]))
                self._tasks.append(asyncio.create_task(following))
        await peer.setLocalDescription(await peer.createAnswer())
        sdp = peer.localDescription.sdp
        await self._say(type="answer", transport=offer["transport"], sdp=sdp)

    async def _peer(self, direction: str, transport: str) -> RTCPeerConnection:
        """The connection an offer is for; a new one takes the place of the older one."""
        known, peer = self._peers.get(direction, ("", None))
        if peer is None or known != transport:
            if peer is not None:
                await peer.close()
            peer = RTCPeerConnection()
            self._peers[direction] = transport, peer
        return peer

    async def _follow(self, track: MediaStreamTrack, whose: tuple[str, str]) -> None:
        with suppress(MediaStreamError):
            while await track.recv():
                self.decoded[whose] += 1


async def main() -> None:
    """Join, and tell what arrives until Ctrl-C."""
    parser = argparse.ArgumentParser(description="join a visit or a lesson")
    parser.add_argument("house", help="https://clinic.example")
    parser.add_argument("what", choices=["visits", "lessons"])
    parser.add_argument("id")
    parser.add_argument("login")
    args = parser.parse_args()
    who = {"login": args.login, "password": getpass.getpass()}
    async with httpx.AsyncClient(base_url=args.house) as house:
        (await house.post("/api/v1/sign-in", json=who)).raise_for_status()
        async with Guest(house, f"{args.what}/{args.id}") as guest:
            while True:
                print(dict(guest.decoded))
                await asyncio.sleep(1)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
