"""A home ECG recorder as the server meets it: frames over a WebSocket, kept until acknowledged.

The recorder owns its samples, so a buffer costs nothing: after every (re)connection the server says
what it has stored without a hole, and sending goes on from there.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from devices.frames import MISSING, StreamHeader, encode, frame_of
from devices.refused import FIRST_WAIT_S, LONGEST_WAIT_S, DeviceRefused

__all__ = ["DeviceRefused", "EcgRecorder", "device_socket"]

FRAME_S = 0.2
# Refusals a second attempt cannot mend: not signed in, forbidden, unknown, a measurement that
# nobody should believe (a clock that fell to 1970 or runs ahead).
FATAL_CLOSE = frozenset({4401, 4403, 4404, 4422})
# The stream's id is somebody else's: no frame of it will ever be taken.
_FATAL_PROBLEM = "sequence_reused"
# The server cannot read what it got: the same bytes again would be no better.
_UNREADABLE = "malformed_body"
# Whatever ends a link, a message nobody understands included: the next attempt may do better.
_LINK_ERRORS = (OSError, ConnectionClosed, InvalidHandshake, TimeoutError, msgspec.DecodeError)


def device_socket(server: str) -> str:
    """WebSocket address of the devices' lane of the server at `server` (http or https)."""
    return "ws" + server.rstrip("/").removeprefix("http") + "/ws/device"


class _Ready(msgspec.Struct, tag="ready"):
    stored: int


class _Stored(msgspec.Struct, tag="stored"):
    sequence: int


class _Problem(msgspec.Struct, tag="problem"):
    code: str


_told: msgspec.json.Decoder[_Ready | _Stored | _Problem] = msgspec.json.Decoder(
    _Ready | _Stored | _Problem
)


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds)


class EcgRecorder:
    """Sends frames of `samples` exactly as told, and keeps a link up by itself.

    `acknowledged` is the last sequence the server has stored without a hole (-1: none).
    `set_aside` are frames the server could not read, with its code: after each such refusal frames
    go one by one until the bad one is found, and in its place goes a frame of missing samples.
    `loop` plays the samples over and over under one running sequence.
    """

    def __init__(
        self,
        url: str,
        token: str,
        header: StreamHeader,
        samples: NDArray[np.int16],
        *,
        started_at_us: int,
        loop: bool = False,
        seed: int = 0,
    ) -> None:
        self.header = header
        self.acknowledged = -1
        self.connections = 0
        self.offered = -1
        self.refused: DeviceRefused | None = None
        self.set_aside: dict[int, str] = {}
        self.frame_samples = max(1, round(FRAME_S * header.rate_hz))
        self._url, self._token = url, token
        self._samples, self._loop = samples, loop
        self._started_at_us = started_at_us
        self._random = random.Random(seed)  # noqa: S311 - spreads reconnections, no secret
        self._queue: deque[int] = deque()
        self._sent = -1
        self._one_by_one = -1
        self._problem = ""
        self._up = asyncio.Event()
        self._up.set()
        self._link: ClientConnection | None = None
        self._change = asyncio.Condition()
        self._pulled: list[tuple[int, int]] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def frames(self) -> int:
        """Frames the samples make once through; the last one may be short."""
        return -(-len(self._samples) // self.frame_samples)

    def pull_electrode(self, first: int, last: int) -> None:
        """Frames first..last carry missing samples, as when an electrode is off."""
        self._pulled.append((first, last))

    def frame(self, sequence: int) -> bytes:
        """The frame with this sequence number: always the same bytes, unless it is set aside."""
        turn, index = divmod(sequence, self.frames)
        if turn and not self._loop:
            raise IndexError(sequence)
        samples = self._samples[index * self.frame_samples :][: self.frame_samples]
        pulled = any(first <= sequence <= last for first, last in self._pulled)
        if pulled or sequence in self.set_aside:
            samples = np.full_like(samples, MISSING)
        before = turn * len(self._samples) + index * self.frame_samples
        at_us = self._started_at_us + round(before * 1_000_000 / self.header.rate_hz)
        return encode(frame_of(self.header.stream, sequence, at_us, samples))

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_link())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def offer(self, sequences: Iterable[int]) -> None:
        """Queue these frames in this order; repeated and shuffled ones are faults on purpose."""
        async with self._change:
            for sequence in sequences:
                self._queue.append(sequence)
                self.offered = max(self.offered, sequence)
            self._change.notify_all()

    def begin_at(self, started_at_us: int) -> None:
        """Date the first sample anew: a recording begins when it begins, not when it was read."""
        if self.offered >= 0:
            raise ValueError("frames have been offered with their dates")
        self._started_at_us = started_at_us

    async def linked(self) -> None:
        """Return when the server has said for the first time what it has stored."""
        await self._until(lambda: self.connections > 0)

    async def send_until(self, sequence: int) -> None:
        """Offer every frame up to `sequence` and return when the link has taken them all."""
        await self.offer(range(self.offered + 1, sequence + 1))
        await self._until(lambda: not self._queue and self._sent >= sequence)

    async def wait_acknowledged(self, sequence: int) -> None:
        """Return when the server has stored everything up to `sequence`."""
        await self._until(lambda: self.acknowledged >= sequence)

    async def drop_link(self) -> None:
        """Cut the link, as a lift or a tunnel does, until `restore_link`."""
        self._up.clear()
        if self._link is not None:
            self._link.transport.abort()
        await self._until(lambda: self._link is None)

    def restore_link(self) -> None:
        """Let the recorder connect again."""
        self._up.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with self._change:
            await self._change.wait_for(lambda: holds() or self.refused is not None)
        if self.refused is not None:
            raise self.refused

    async def _keep_link(self) -> None:
        wait_s = FIRST_WAIT_S
        while self.refused is None:
            await self._up.wait()
            stored = self.acknowledged
            with suppress(*_LINK_ERRORS):
                await self._session()
            if self.refused is None:
                # A link that brought something on is tried again at once; a dead server, or one
                # that closes over the same frame every time, ever more slowly.
                wait_s = FIRST_WAIT_S if self.acknowledged > stored else wait_s
                await _pause(wait_s * self._random.uniform(0.8, 1.2))
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)

    async def _session(self) -> None:
        async with connect(self._url, ping_interval=5, ping_timeout=5, open_timeout=5) as link:
            sending: asyncio.Task[None] | None = None
            before = self.connections
            self._link, self._problem = link, ""
            try:
                await link.send(self._hello())
                async for message in link:
                    await self._heard(message)
                    if self.connections > before and sending is None:
                        sending = asyncio.create_task(self._send(link))
            finally:
                self._link = None
                if sending is not None:
                    sending.cancel()
                if link.close_code in FATAL_CLOSE or self._problem == _FATAL_PROBLEM:
                    self.refused = DeviceRefused(self._problem or str(link.close_code))
                elif self._problem == _UNREADABLE:
                    self._found_unreadable(taken=self.connections > before)
                async with self._change:
                    self._change.notify_all()

    def _found_unreadable(self, *, taken: bool) -> None:
        """Set aside the only frame it can be; look closer when it may be one of several."""
        last = self.acknowledged + 1
        if not taken or (self._sent == last and last in self.set_aside):
            self.refused = DeviceRefused(self._problem)
        elif self._sent == last:
            self.set_aside[last] = self._problem
        else:
            self._one_by_one = max(self._one_by_one, self._sent)

    def _hello(self) -> str:
        hello = {"type": "hello", "token": self._token, "stream": self.header}
        return msgspec.json.encode(hello).decode()

    async def _heard(self, message: str | bytes) -> None:
        match _told.decode(message):
            case _Ready(stored):
                first = self.connections == 0
                self.connections += 1
                self.acknowledged = self._sent = stored
                # What was offered before the first link goes in the order it was offered.
                offered = self._queue if first else range(self.offered + 1)
                self._queue = deque(n for n in offered if n > stored)
            case _Stored(sequence):
                self.acknowledged = max(self.acknowledged, sequence)
            case _Problem(code):
                self._problem = code
        async with self._change:
            self._change.notify_all()

    async def _send(self, link: ClientConnection) -> None:
        while True:
            async with self._change:
                await self._change.wait_for(lambda: self._queue)
                sequence = self._queue[0]
                self._sent = max(self._sent, sequence)
            try:
                await link.send(self.frame(sequence))
            except ConnectionClosed:
                return
            async with self._change:
                self._queue.popleft()
                self._change.notify_all()
                while self.acknowledged < sequence <= self._one_by_one:
                    await self._change.wait()
