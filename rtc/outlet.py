"""The home's end of a room's pipes: who may open one, and what goes into it."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aiortc.rtp import RtcpSenderInfo, RtcpSrPacket

from rtc import srtp
from rtc.pipe import (
    HEAD,
    MOST_BYTES,
    PACKET,
    REPORT,
    BadPipe,
    Enter,
    Scene,
    Shown,
    Wishes,
    Words,
    heard,
    is_ours,
    items,
    prepared,
    receive,
    said,
)

if TYPE_CHECKING:
    from rtc.forward import Counters
    from rtc.layer import Layer, Outgoing
    from rtc.track import Track

log = logging.getLogger(__name__)

GATHER_S = 0.005  # a browser's pacer sends some packets every 5 ms
NAMELESS = 64  # pipes that have not said which room they are of; the oldest goes
BACKLOG = 128

_buffer = bytearray(MOST_BYTES)
_HEAD_INTO = HEAD.pack_into


class Outlet:
    """A branch as its home sees it: a follower of whole layers."""

    def __init__(
        self,
        sock: socket.socket,
        tracks: Sequence["Track"],
        counters: "Counters",
        gone: Callable[["Outlet"], None],
    ) -> None:
        self.shares: dict[Track, tuple[int, list[int]]] = {}  # of those who watch there
        self._socket = sock
        self._tracks = tracks
        self._gone = gone
        self._told: Scene | None = None
        self._counters = counters
        self._message = memoryview(bytearray(MOST_BYTES))
        self._size = 0  # of what was put into it
        self._count = 0  # packets
        self._timer: asyncio.TimerHandle | None = None
        self._heads = {
            layer: (number, place)
            for number, track in enumerate(tracks)
            for place, layer in enumerate(track.layers)
        }
        self._wanted: set[Layer] = set()
        self._has_dropped = False
        self._has_gap = False  # and it takes again what comes
        for track in tracks:
            track.outlets.append(self)
        asyncio.get_running_loop().add_reader(sock, self._readable)

    def close(self) -> None:
        """Ends the pipe; the branch hears it."""
        if self._timer is not None:
            self._timer.cancel()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._want(set())
        for track in self._tracks:
            track.outlets.remove(self)

    def put(self, layer: "Layer", packets: Sequence["Outgoing"]) -> None:
        """Adds what a wake-up of the port has brought of a layer; it leaves within `GATHER_S`.

        For each message the branch must be woken up, and together packets are sealed for less.
        """
        number, place = self._heads[layer]
        if self._count + len(packets) > srtp.SLOTS:
            self._send()
        message, views, at = self._message, srtp.received_views, self._size
        for slot, size, _, _ in packets:
            _HEAD_INTO(message, at, PACKET, number, place, size)
            at += HEAD.size
            message[at : at + size] = views[slot][:size]
            at += size
        self._size = at
        self._count += len(packets)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_S, self._send)

    def _send(self) -> None:
        """Sends what was put; what the branch is too slow for is dropped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        try:
            self._socket.send(self._message[: self._size])
        except OSError:  # full, or gone: then the reader finds out
            self._has_dropped = True
            self._counters.dropped_pipe += self._count
        else:
            self._has_gap = self._has_gap or self._has_dropped
            self._has_dropped = False
        self._size = self._count = 0

    def report(self, layer: "Layer", info: RtcpSenderInfo) -> None:
        """Passes a sender report on, in the viewers' time."""
        number, place = self._heads[layer]
        body = bytes(RtcpSrPacket(ssrc=layer.track.ssrc, sender_info=info))
        self._say(HEAD.pack(REPORT, number, place, len(body)) + body)

    def show(self, holder: str | None, now: float, *, rates: bool) -> None:
        """Tells the branch what is here when it has changed; `rates`: also how large layers are."""
        tracks = [
            Shown(
                track.kind,
                track.member,
                track.ssrc,
                track.is_published,
                [(layer.arrives(now), layer.bps) for layer in track.layers],
            )
            for track in self._tracks
        ]
        scene = Scene(holder, tracks)
        if self._told is None or (scene if rates else _bare(scene)) != (
            self._told if rates else _bare(self._told)
        ):
            self._told = scene if self._say(said(scene)) else None

    def repair(self, now: float) -> None:
        """Asks for key frames in place of what was dropped, once more is taken: all pay for it."""
        if self._has_gap:
            self._has_gap = False
            for layer in self._wanted:
                layer.ask_key_frame(now)

    def _say(self, message: bytes) -> bool:
        try:
            self._socket.send(message)
        except OSError:
            return False
        return True

    def _readable(self) -> None:
        try:
            while (size := receive(self._socket, _buffer)) is not None:
                if not size:
                    self._gone(self)
                    return
                for item in items(memoryview(_buffer)[:size]):
                    self._hear(heard(item.body))
        except BadPipe as bad:
            log.warning("a branch speaks nonsense and is let go: %s", bad)
            self._gone(self)

    def _hear(self, wishes: Words) -> None:
        if not isinstance(wishes, Wishes):
            raise BadPipe("a branch says what only a home does")
        now = asyncio.get_running_loop().time()
        self._want({self._layer(*each) for each in wishes.layers})
        self.shares = {
            self._tracks[number]: (watching, shares)
            for number, watching, shares in wishes.shares
            if number < len(self._tracks)
        }
        for each in wishes.keys:
            self._layer(*each).ask_key_frame(now)

    def _layer(self, number: int, place: int) -> "Layer":
        try:
            return self._tracks[number].layers[place]
        except IndexError as bad:
            raise BadPipe("a branch names what is not there") from bad

    def _want(self, wanted: set["Layer"]) -> None:
        for layer in self._wanted - wanted:
            layer.outlets.remove(self)
        for layer in wanted - self._wanted:
            layer.outlets.append(self)
        self._wanted = wanted


def _bare(scene: Scene) -> list[object]:
    return [
        scene.holder,
        *(
            (each.ssrc, each.is_published, [arrives for arrives, _ in each.layers])
            for each in scene.tracks
        ),
    ]


class Pipes:
    """Listens for branches of this worker's rooms."""

    def __init__(self, path: Path, enter: Callable[[str, socket.socket], bool]) -> None:
        self._path = path
        self._enter = enter
        self._nameless: list[socket.socket] = []
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setblocking(False)
        before = os.umask(0o177)
        try:
            self._socket.bind(str(path))
        finally:
            os.umask(before)
        self._socket.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Closes the door and all that stand in it."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for sock in [*self._nameless]:
            self._let_go(sock)
            sock.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        try:
            sock, _ = self._socket.accept()
        except OSError:
            return
        if not is_ours(sock):
            sock.close()
            return
        if len(self._nameless) >= NAMELESS:
            oldest = self._nameless[0]
            self._let_go(oldest)
            oldest.close()
        self._nameless.append(prepared(sock))
        asyncio.get_running_loop().add_reader(sock, self._named, sock)

    def _named(self, sock: socket.socket) -> None:
        size = receive(sock, _buffer)
        if size is None:
            return
        self._let_go(sock)
        try:
            words = [heard(each.body) for each in items(memoryview(_buffer)[:size])]
        except BadPipe:
            words = []
        if (
            len(words) != 1
            or not isinstance(words[0], Enter)
            or not self._enter(words[0].room, sock)
        ):
            sock.close()

    def _let_go(self, sock: socket.socket) -> None:
        self._nameless.remove(sock)
        asyncio.get_running_loop().remove_reader(sock)
