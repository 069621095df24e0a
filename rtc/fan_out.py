"""From one viewer to the next: what a wake-up has brought of a layer, copied, sealed and sent.

Packets of a frame are mostly of one size, so all that go to one viewer leave in one send
(UDP_SEGMENT, udp(7)): on the network they are datagrams like others, but the system walks its path
once for them.
"""

import errno
import socket
import struct
from collections.abc import Sequence
from typing import Protocol

from rtc import srtp
from rtc.follower import shifted
from rtc.layer import Outgoing
from rtc.leg import Leg
from rtc.simulcast import NO_SHIFT
from rtc.stun import Address

UDP_SEGMENT = 103  # linux/udp.h; Python has no name for it
MOST_SEGMENT = 1400  # sealed; longer ones may have to be cut in parts on their way
_IPPROTO_UDP = socket.IPPROTO_UDP
_FULL = {errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM}
_NUMBER = struct.Struct("!H")
_SIZE = struct.Struct("=H")


class FanOut(Protocol):
    """Sends packets to all legs of a layer."""

    def send(self, legs: Sequence[Leg], packets: list[Outgoing], now: float) -> tuple[int, int]:
        """How many copies were sent, and how many the system did not take."""


def knows_segments(sock: socket.socket) -> bool:
    """Whether the system cuts one send into datagrams (Linux 4.18)."""
    try:
        sock.getsockopt(_IPPROTO_UDP, UDP_SEGMENT)
    except OSError:
        return False
    return True


class PythonFanOut:
    """The base, which works everywhere; `rtc.fan_out_c` does the same in C."""

    def __init__(self, sock: socket.socket) -> None:
        self._send = sock.sendto
        self._send_parts = sock.sendmsg
        self._segments = knows_segments(sock)
        self._orders: dict[int, list[tuple[int, int, bytes]]] = {}

    def send(self, legs: Sequence[Leg], packets: list[Outgoing], now: float) -> tuple[int, int]:
        """See FanOut."""
        received, outgoing, views = srtp.received, srtp.outgoing, srtp.outgoing_views
        copy, protect, length, ok = srtp.copy, srtp.protect, srtp.length, srtp.OK
        put_number = _NUMBER.pack_into
        all_sent = all_dropped = 0
        for leg in legs:
            transport, shift, first_index = leg.transport, leg.shift, leg.first_index
            session, numbers = transport.tx, transport.sent
            sealed: list[memoryview] = []
            size_sent = 0
            for slot, size, index, wide_at in packets:
                if index < first_index:
                    continue
                target = outgoing[slot]
                copy(target, received[slot], size)
                if shift is not NO_SHIFT:
                    shifted(views[slot][:size], shift)
                if wide_at and numbers is not None:
                    put_number(views[slot], wide_at, numbers.take(size, now))
                length[0] = size
                if protect(session, target, length) == ok:
                    sealed.append(views[slot][: length[0]])
                    size_sent += size
            address = transport.ice.address
            if not sealed or address is None:
                continue
            dropped = self._to(leg, address, sealed)
            leg.packets_by_python += len(sealed) - dropped
            leg.bytes_by_python += size_sent
            all_sent += len(sealed) - dropped
            all_dropped += dropped
        return all_sent, all_dropped

    def _to(self, leg: Leg, address: Address, sealed: list[memoryview]) -> int:
        """Sends a viewer's datagrams; the number dropped."""
        if len(sealed) == 1:
            return self._one_by_one(address, sealed)
        dropped = at = 0
        while at < len(sealed):
            end = self._run(leg, sealed, at)
            dropped += self._together(leg, address, sealed[at:end])
            at = end
        return dropped

    def _run(self, leg: Leg, sealed: list[memoryview], at: int) -> int:
        """Where the datagrams end that can leave with the one at `at`: the last may be shorter."""
        end, size = at + 1, len(sealed[at])
        if not self._segments or not leg.segments or size > MOST_SEGMENT:
            return end
        while end < len(sealed) and len(sealed[end]) <= size and len(sealed[end - 1]) == size:
            end += 1
        return end

    def _together(self, leg: Leg, address: Address, run: list[memoryview]) -> int:
        if len(run) == 1:
            return self._one_by_one(address, run)
        size = len(run[0])
        order = self._orders.get(size)
        if order is None:
            order = self._orders[size] = [(_IPPROTO_UDP, UDP_SEGMENT, _SIZE.pack(size))]
        try:
            self._send_parts(run, order, 0, address)
        except OSError as refused:
            if refused.errno in _FULL:
                return len(run)
            leg.segments = False  # a small MTU, or a card that cannot: this way takes them singly
            return self._one_by_one(address, run)
        return 0

    def _one_by_one(self, address: Address, datagrams: list[memoryview]) -> int:
        dropped = 0
        for each in datagrams:
            try:
                self._send(each, address)
            except OSError:  # full socket buffer, or an address the system cannot reach
                dropped += 1
        return dropped
