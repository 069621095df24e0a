"""The fan-out in C, where scripts/build_fan_out.py has found a compiler; all works without, too."""

import hashlib
import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtc import srtp, twcc
from rtc.aiortc_parts import ffi as srtp_ffi
from rtc.aiortc_parts import lib as srtp_lib
from rtc.fan_out import FanOut, PythonFanOut, knows_segments
from rtc.layer import Outgoing
from rtc.leg import Leg
from rtc.stun import Address

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
SOURCES = (HERE / "fan_out.h", HERE / "fan_out.c")
MOST_LEGS = 1024  # in one call


def folder() -> Path:
    """Where this very source is built to; another version has another place."""
    digest = hashlib.sha256(b"".join(each.read_bytes() for each in SOURCES)).hexdigest()
    return Path(sys.prefix) / "lib" / "yanasha" / f"fan_out-{digest[:16]}"


def best_fan_out(sock: socket.socket) -> FanOut:
    """C where it was built, Python else, or where YANASHA_RTC_FAN_OUT says so."""
    if os.environ.get("YANASHA_RTC_FAN_OUT") == "python":
        return PythonFanOut(sock)
    try:
        return CFanOut(sock)
    except (OSError, ImportError):
        log.info("copies are made in Python: `make install` has built no fan-out in C that loads")
        return PythonFanOut(sock)


class _State:
    """A leg's struct, and what must live as long as it points there."""

    __slots__ = ("address", "kept", "sent", "struct")

    def __init__(self, struct: Any) -> None:
        self.struct = struct
        self.address: Address | None = None
        self.sent: twcc.Sent | None = None
        self.kept: tuple[Any, ...] = ()


class CFanOut:
    """See rtc.fan_out.FanOut; tests/rtc/test_fan_out.py compares the two datagram by datagram."""

    def __init__(self, sock: socket.socket) -> None:
        self._ffi, self._library = _load()
        self._segments = knows_segments(sock)
        self._is_ipv6 = sock.family == socket.AF_INET6
        self._order = self._ffi.new("struct fan_out_order *")
        self._order.socket = sock.fileno()
        self._order.wide_mask = twcc.SLOTS - 1
        self._order.protect = self._here(srtp_ffi.addressof(srtp_lib, "srtp_protect"))
        self._packets = self._ffi.new("struct fan_out_packet[]", srtp.SLOTS)
        self._slots = [self._here(each) for each in srtp.received]
        self._array = self._ffi.new("struct fan_out_leg *[]", MOST_LEGS)

    def _here(self, foreign: Any) -> Any:
        """A pointer of libsrtp's binding as one of ours."""
        return self._ffi.cast("void *", int(srtp_ffi.cast("uintptr_t", foreign)))

    def send(self, legs: Sequence[Leg], packets: list[Outgoing], now: float) -> tuple[int, int]:
        """See FanOut."""
        order, order.now = self._order, now
        for place, (slot, size, index, wide_at) in zip(self._packets, packets, strict=False):
            place.data, place.size = self._slots[slot], size
            place.index, place.wide_at = index, wide_at
        sent = dropped = 0
        for at in range(0, len(legs), MOST_LEGS):
            count = self._gather(legs[at : at + MOST_LEGS])
            sent += self._library.fan_out(order, self._array, count, self._packets, len(packets))
            dropped += order.dropped
        return sent, dropped

    def _gather(self, legs: Sequence[Leg]) -> int:
        array = self._array
        for at, leg in enumerate(legs):
            state: _State | None = leg.state
            transport = leg.transport
            if (
                state is None
                or leg.is_stale
                or state.address is not transport.ice.address
                or state.sent is not transport.sent
            ):
                state = self._renew(leg)
            array[at] = state.struct
        return len(legs)

    def _renew(self, leg: Leg) -> _State:
        state: _State | None = leg.state
        if state is None:
            state = leg.state = _State(self._ffi.new("struct fan_out_leg *"))
            state.struct.segments = self._segments
        transport, struct, shift = leg.transport, state.struct, leg.shift
        state.address, state.sent = transport.ice.address, transport.sent
        packed = pack_address(state.address, is_ipv6=self._is_ipv6)
        self._ffi.memmove(struct.address, packed, len(packed))
        struct.address_size = len(packed)
        session = self._here(transport.tx)
        numbers = state.sent
        arrays = (numbers.count, numbers.times, numbers.sizes) if numbers is not None else ()
        buffers = [self._ffi.from_buffer(each) for each in arrays]
        state.kept = (session, *buffers)
        null = self._ffi.NULL
        count, times, sizes = buffers or (null, null, null)
        struct.session = session
        struct.wide_count = self._ffi.cast("uint64_t *", count)
        struct.wide_times = self._ffi.cast("double *", times)
        struct.wide_sizes = self._ffi.cast("uint16_t *", sizes)
        struct.first_index = leg.first_index
        struct.sequence, struct.timestamp = shift.sequence, shift.timestamp
        struct.picture_id, struct.tl0 = shift.picture_id, shift.tl0
        struct.is_shifted = any(shift)
        struct.is_vp8 = leg.track.is_picture and leg.track.codec == "vp8"
        leg.is_stale = False
        return state


def pack_address(address: Address | None, *, is_ipv6: bool) -> bytes:
    """A sockaddr_in or sockaddr_in6 of Linux; empty when there is none."""
    if address is None:
        return b""
    host, port = address[:2]
    flow, scope = address[2:] if len(address) > 2 else (0, 0)  # noqa: PLR2004 - of IPv6
    family = (socket.AF_INET6 if is_ipv6 else socket.AF_INET).to_bytes(2, sys.byteorder)
    network_port = port.to_bytes(2, "big")
    if not is_ipv6:
        return family + network_port + socket.inet_aton(host) + bytes(8)
    in6 = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    return (
        family
        + network_port
        + int(flow).to_bytes(4, "big")
        + in6
        + int(scope).to_bytes(4, sys.byteorder)
    )


def _load() -> tuple[Any, Any]:
    place = folder()
    spec = importlib.util.spec_from_file_location("yanasha_fan_out", place / "binding.py")
    if spec is None or spec.loader is None:
        raise ImportError(place)
    binding = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(binding)
    return binding.ffi, binding.ffi.dlopen(str(place / "fan_out.so"))
