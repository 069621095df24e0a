"""A branch's end of the pipe: what the home sends goes to the viewers here."""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from aiortc.rtp import RtcpPacket, RtcpSrPacket

from rtc import srtp
from rtc.fed import FedStage
from rtc.forward import Forwarder
from rtc.key_frames import HEADER_BYTES
from rtc.layer import Layer
from rtc.pipe import (
    HEAD,
    MOST_BYTES,
    MOST_SHARES,
    PACKET,
    REPORT,
    BadPipe,
    Enter,
    Item,
    Scene,
    Wishes,
    heard,
    items,
    prepared,
    receive,
    said,
)

log = logging.getLogger(__name__)

RETRY_S = 0.2
MOST_AT_ONCE = 16  # messages of one wake-up: others wait, too

_buffer = bytearray(MOST_BYTES)
_view = memoryview(_buffer)


class Inlet:
    """Keeps a pipe open to the home of a room, and asks it for what the viewers here need."""

    def __init__(
        self,
        path: Path,
        room: str,
        stage: FedStage,
        forwarder: Forwarder,
        changed: Callable[[FedStage], None],
    ) -> None:
        self.stage = stage
        self._path = path
        self._room = room
        self._forwarder = forwarder
        self._changed = changed  # other tracks, other publishers, another holder of the floor
        self._socket: socket.socket | None = None
        self._tried_at = float("-inf")
        self._asked: Wishes | None = None
        self._layers_fed: dict[tuple[int, int], Layer] = {}  # as the home has numbered them

    def close(self) -> None:
        """Lets go of the home."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def tick(self, now: float, *, reports: bool) -> None:
        """Comes back to the home, and tells it what has changed; ten times a second."""
        if self._socket is None:
            if now - self._tried_at >= RETRY_S:
                self._tried_at = now
                self._open()
            return
        for track in self.stage.fed:
            track.repeat_key_request(now)
        if reports:
            self._say(self._wishes(now))
        else:
            self.look(now)

    def look(self, now: float) -> None:
        """Tells the home when other layers are needed than before."""
        if self._asked is None or self._layers() != self._asked.layers:
            self._say(self._wishes(now))

    def ask(self, now: float) -> None:
        """Tells the home at once: somebody cannot see before his key frame is here."""
        keys = [(at, n) for at, track in enumerate(self.stage.fed) for n in track.keys(now)]
        self._say(Wishes(self._layers(), keys, self._shares(now)))

    def _open(self) -> None:
        sock = prepared(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        try:
            sock.connect(str(self._path))
            sock.send(said(Enter(self._room)))
        except OSError:
            sock.close()
            return
        self._socket, self._asked = sock, None
        asyncio.get_running_loop().add_reader(sock, self._readable)

    def _say(self, wishes: Wishes) -> None:
        if self._socket is None:
            return
        try:
            self._socket.send(said(wishes))
        except OSError:
            self._asked = None
        else:
            asked, self._asked = self._asked, wishes
            for place in {*wishes.layers}.difference(asked.layers) if asked is not None else ():
                self._layers_fed[place].reception = None  # what passed meanwhile was not sent here

    def _wishes(self, now: float) -> Wishes:
        return Wishes(self._layers(), [], self._shares(now))

    def _layers(self) -> list[tuple[int, int]]:
        return [
            (at, n)
            for at, track in enumerate(self.stage.tracks)
            for n, layer in enumerate(track.layers)
            if layer.legs or layer.waiting
        ]

    def _shares(self, now: float) -> list[tuple[int, int, list[int]]]:
        found = []
        for at, track in enumerate(self.stage.tracks):
            if track.is_picture and track.legs:
                rates = (leg.transport.rate for leg in track.legs[:MOST_SHARES])
                shares = [each.share(now) for each in rates if each is not None]
                found.append((at, len(track.legs), [each for each in shares if each is not None]))
        return found

    def _readable(self) -> None:
        now = asyncio.get_running_loop().time()
        slot = 0
        try:
            for _ in range(MOST_AT_ONCE):
                size = receive(self._socket, _buffer) if self._socket is not None else None
                if size is None:
                    break
                if not size:
                    self._lost()
                    break
                slot = self._take(size, slot, now)
                if size < MOST_BYTES // 4:  # rarely is there another; if so, we are woken again
                    break
        except BadPipe as bad:
            log.warning("room %s: its home speaks nonsense: %s", self._room, bad)
            self._lost()
        finally:
            self._forwarder.flush(now)

    def _take(self, size: int, slot: int, now: float) -> int:
        """Takes a message; the next free slot. The hot path of a branch: no object an item."""
        views, unpack, head_bytes = srtp.received_views, HEAD.unpack_from, HEAD.size
        numbered, at = self._forwarder.numbered, 0
        while at < size:
            if size - at < head_bytes:
                raise BadPipe("a head is cut")
            what, number, place, length = unpack(_buffer, at)
            at += head_bytes
            end = at + length
            if what != PACKET:
                self._hear(next(items(_view[at - head_bytes : min(end, size)])), now)
            elif end > size or (layer := self._layers_fed.get((number, place))) is None:
                raise BadPipe("a packet is cut, or of what was not shown")
            elif layer.track.live and HEADER_BYTES < length <= srtp.BUFFER_BYTES:
                if slot == srtp.SLOTS:
                    self._forwarder.flush(now)
                    slot = 0
                views[slot][:length] = _view[at:end]
                numbered(layer, slot, length, now)
                slot += 1
            at = end
        return slot

    def _hear(self, item: Item, now: float) -> None:
        if item.what == REPORT:
            self._report(item, now)
            return
        words = heard(item.body)
        if not isinstance(words, Scene):
            raise BadPipe("a home says what only a branch does")
        self._see(words, now)

    def _report(self, item: Item, now: float) -> None:
        layer = self._layers_fed.get((item.track, item.layer))
        if layer is None:
            raise BadPipe("a report is of what was not shown")
        try:
            packets = RtcpPacket.parse(bytes(item.body))
        except (ValueError, struct.error, IndexError) as bad:
            raise BadPipe(str(bad)) from bad
        for each in packets:
            if isinstance(each, RtcpSrPacket) and layer.track.live:
                layer.pass_report(each.sender_info, now)

    def _see(self, scene: Scene, now: float) -> None:
        stage, tracks = self.stage, scene.tracks
        described = [(each.kind, each.member) for each in tracks]
        if described != [(each.kind, each.member) for each in stage.tracks]:
            self._lost()  # the home is another room by now, or will be
            return
        ssrcs = tuple(each.ssrc for each in tracks)
        is_new = not stage.is_known or ssrcs != tuple(each.ssrc for each in stage.tracks)
        if is_new:
            stage = self.stage = FedStage(stage.presenter, stage.codec, ssrcs)
            self._layers_fed = {
                (number, place): layer
                for number, track in enumerate(stage.tracks)
                for place, layer in enumerate(track.layers)
            }
        published = [each.is_published for each in tracks]
        is_new |= stage.told_holder != scene.holder or published != [each.fed for each in stage.fed]
        stage.told_holder = scene.holder
        for track, shown in zip(stage.fed, tracks, strict=True):
            track.ask = self.ask
            track.feed(fed=shown.is_published)
            track.hear(shown.layers)
        if self._asked is None:  # a new pipe: what came meanwhile is missing
            for layer in (layer for track in stage.fed for layer in track.layers):
                layer.key_wanted = layer.track.is_picture and bool(layer.legs)
            self._say(self._wishes(now))
        if is_new:
            self._changed(stage)

    def _lost(self) -> None:
        self.close()
        for track in self.stage.fed:
            track.feed(fed=False)
        self._changed(self.stage)
