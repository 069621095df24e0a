"""The hot path: a publisher's packet to all viewers, without a queue, a coroutine or an object.

Opened once, header patched once, then copied, sealed and sent per viewer.
"""

import struct
from dataclasses import dataclass
from typing import Any

from rtc import srtp
from rtc.track import Track
from rtc.transport import Transport

HEADER_BYTES = 12
_SEQUENCE_TIMESTAMP_SSRC = struct.Struct("!HII")
_OK = 0


@dataclass
class Counters:
    """Since the worker's start."""

    packets_in: int = 0
    packets_out: int = 0
    dropped_no_grant: int = 0
    dropped_send: int = 0
    resent: int = 0
    refused_datagrams: int = 0


def is_vp8_key_frame(packet: memoryview) -> bool:
    """Whether a packet begins a VP8 key frame (RFC 7741 sections 4.2 and 4.3)."""
    at = HEADER_BYTES + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < at + 4:
            return False
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    if len(packet) < at + 1:
        return False
    descriptor = packet[at]
    at += 1
    begins_frame = descriptor & 0x10 and not descriptor & 0x0F  # S set, partition 0
    if descriptor & 0x80:
        extension = packet[at] if len(packet) > at else 0
        at += 1
        if extension & 0x80:
            long_id = len(packet) > at and packet[at] & 0x80
            at += 2 if long_id else 1
        at += bool(extension & 0x40) + bool(extension & 0x30)
    return bool(begins_frame and len(packet) > at and not packet[at] & 0x01)


class Forwarder:
    """Works on the shared buffers of `rtc.srtp`, where the port has put the datagram."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self.send_datagram: Any = None  # the socket's sendto, set by the port

    def packet(self, transport: Transport, size: int, now: float) -> None:
        """Forwards the SRTP packet of `size` bytes that lies in `srtp.received`."""
        size = srtp.unprotect_received(transport.rx, size)
        if size <= HEADER_BYTES:
            self._counters.refused_datagrams += 1
            return
        view = srtp.received_view
        track = transport.tracks.get(view[1] & 0x7F)
        if track is None or not track.live:
            self._counters.dropped_no_grant += 1
            return
        self._counters.packets_in += 1
        sequence, timestamp, ssrc = _SEQUENCE_TIMESTAMP_SSRC.unpack_from(view, 2)
        index = track.received(ssrc, sequence, timestamp, now)
        if index is None:
            return
        sequence = (index + track.sequence_offset) & 0xFFFF
        timestamp = (timestamp + track.timestamp_offset) & 0xFFFFFFFF
        _SEQUENCE_TIMESTAMP_SSRC.pack_into(view, 2, sequence, timestamp, track.ssrc)
        track.sent(sequence, timestamp, now)
        if track.ring is not None:
            track.ring.put(sequence, now, bytes(view[:size]))
            if track.key_wanted and is_vp8_key_frame(view[:size]):
                track.key_wanted = False
            if track.reception is not None and track.reception.missing:
                track.ask_missing(now)
        self._fan_out(track, size)

    def _fan_out(self, track: Track, size: int) -> None:
        received, outgoing, view = srtp.received, srtp.outgoing, srtp.outgoing_view
        copy, protect, length, send = srtp.copy, srtp.protect, srtp.length, self.send_datagram
        sent = 0
        for leg in track.legs:
            copy(outgoing, received, size)
            length[0] = size
            if protect(leg.tx, outgoing, length) != _OK:
                continue
            try:
                send(view[: length[0]], leg.ice.address)
            except OSError:  # full socket buffer, or an address the system cannot reach
                self._counters.dropped_send += 1
            else:
                sent += 1
        self._counters.packets_out += sent
