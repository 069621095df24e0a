"""Sockets as our own handlers may use them: messages without a queue in between, many at a write.

ASGI hands each message over through a queue, a task and a dictionary, and stops reading until it is
taken: that costs more than all the rest of what is done with a frame of ECG, of which some thousand
come a second. So the connection itself lies in the scope too. Who asks for it is called with each
binary message where it is read, and writes all that waits at once; accepting, closing, texts, pings
and a client that goes remain uvicorn's. Under another server there is nothing, and ASGI is used.
"""

from collections.abc import Callable
from typing import Any, cast

from litestar import WebSocket
from uvicorn.protocols.utils import ClientDisconnected
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from api import socket_packing

try:
    from websockets.speedups import apply_mask
except ImportError:  # where no wheel was made
    from websockets.utils import apply_mask

_KEY = "yanasha.wire"
# The first byte of a whole binary message that is not packed; in the second, the length's own bits.
_BINARY, _MASKED, _LENGTH = 0x82, 0x80, 0x7F
_IN_TWO_BYTES, _IN_EIGHT_BYTES, _MASK_BYTES = 126, 127, 4


class Protocol(socket_packing.Protocol):
    """One connection. Until somebody listens, messages come as uvicorn brings them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whether everything since the handshake was cut into whole frames here.
        self._cuts = False
        self._begun = b""
        self._hear: Callable[[bytes], None] | None = None
        self._held = False

    def handle_connect(self, event: Request) -> None:
        """Lie in the scope of whoever serves this."""
        super().handle_connect(event)
        if not self.handshake_complete:
            cast("dict[str, Any]", self.scope["extensions"])[_KEY] = self
            # Pages say little, and may pack it.
            self._cuts = event.path.partition("?")[0] == socket_packing.UNPACKED

    def data_received(self, data: bytes) -> None:
        """Take whole binary messages out; all else is uvicorn's."""
        if self._cuts:
            self._cut(self._begun + data if self._begun else data)
            return
        super().data_received(data)
        # Who says more before it was answered is in the middle of something already.
        self._cuts = self._cuts and data.endswith(b"\r\n\r\n") and not self.conn.reader.buffer

    def send_receive_event_to_app(self) -> None:
        """Give a whole message to who listens, or put it into the queue."""
        if self._hear is None or self.curr_msg_data_type == "text":
            super().send_receive_event_to_app()
            return
        data, self.frames = b"".join(self.frames), []
        if not self.close_sent:
            self._hear(data)

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """From now on give binary messages to `hear` as they come, first those that wait."""
        self._hear = hear
        waiting = [self.queue.get_nowait() for _ in range(self.queue.qsize())]
        for message in waiting:
            data: bytes | None = message.get("bytes")  # type: ignore[assignment]
            if data is None:
                self.queue.put_nowait(message)
            else:
                hear(data)
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            if not self._held:
                self._read()

    def deafen(self) -> None:
        """Let go of binary messages that still come; they are read, as the client's close is."""
        self._hear = _unheard
        self.go_on()

    def hold(self) -> None:
        """Read no more: TCP holds the client back."""
        self._held = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def go_on(self) -> None:
        """Read again what was held."""
        if self._held:
            self._held = False
            if not self.read_paused:
                self._read()

    @property
    def free(self) -> bool:
        """Whether the client takes what it is sent; False also when it is gone."""
        return self.writable.is_set() and self._open

    async def taken(self) -> None:
        """Wait until the client has taken enough of what was written."""
        await self.writable.wait()

    def framed(self, message: bytes, *, text: bool) -> bytes:
        """A message as it goes over the line. It is to be written, in that order."""
        if text and self.conn.extensions:
            frame = Frame(Opcode.TEXT, message)
            return frame.serialize(mask=False, extensions=self.conn.extensions)
        first, size = b"\x81" if text else b"\x82", len(message)
        if size < _IN_TWO_BYTES:
            return first + size.to_bytes(1, "big") + message
        if size < 1 << 16:
            return first + b"\x7e" + size.to_bytes(2, "big") + message
        return first + b"\x7f" + size.to_bytes(8, "big") + message

    def write(self, framed: bytes) -> None:
        """Write what was framed. Raises ClientDisconnected when the socket is not open any more."""
        if not self._open:
            raise ClientDisconnected
        self.transport.write(framed)

    @property
    def _open(self) -> bool:
        return not (self.disconnected or self.close_sent) and self.conn.state is State.OPEN

    def _read(self) -> None:
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def _cut(self, data: bytes) -> None:
        at, end = 0, len(data)
        while at + 2 <= end:
            first, second = data[at], data[at + 1]
            size, head = second & _LENGTH, 2 + _MASK_BYTES
            if size == _IN_TWO_BYTES:
                if at + 4 > end:
                    break
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4 + _MASK_BYTES
            if size == _IN_EIGHT_BYTES or not second & _MASKED or size > self._most:
                # Nothing of ours: it is refused from its head on, before it has come.
                self._cuts, self._begun = False, b""
                super().data_received(data[at:])
                return
            body, after = at + head, at + head + size
            if after > end:
                break
            if first == _BINARY and self.conn.current_size is None and self._open:
                self._message(apply_mask(data[body:after], data[body - _MASK_BYTES : body]))
            else:
                super().data_received(data[at:after])
                if self.conn.parser_exc is not None:
                    return
            at = after
        self._begun = data[at:]

    @property
    def _most(self) -> int:
        return self.config.ws_max_size

    def _message(self, data: bytes) -> None:
        if self._hear is not None:
            self._hear(data)
            return
        self.curr_msg_data_type, self.frames = "bytes", [data]
        super().send_receive_event_to_app()


def _unheard(_: bytes) -> None:
    """Nobody listens any more."""


def wire_of(socket: WebSocket[Any, Any, Any]) -> Protocol | None:
    """The connection of a socket, where our own server serves it."""
    found: Protocol | None = (socket.scope.get("extensions") or {}).get(_KEY)  # type: ignore[assignment]
    return found
