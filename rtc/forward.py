"""The hot path: a publisher's packet to all viewers, without a queue, a coroutine or an object.

Opened once, header patched once, then copied, sealed and sent per viewer.
"""

import logging
import struct
from dataclasses import dataclass
from typing import Any

from rtc import srtp
from rtc.extensions import hide_send_time
from rtc.key_frames import HEADER_BYTES
from rtc.tap import Tap
from rtc.track import Track
from rtc.transport import Transport

log = logging.getLogger(__name__)

COMPLAIN_EVERY_S = 10.0
_SEQUENCE_TIMESTAMP_SSRC = struct.Struct("!HII")
_OK = 0


@dataclass
class Counters:
    """Since the worker's start."""

    packets_in: int = 0
    packets_out: int = 0
    dropped_no_grant: int = 0
    dropped_send: int = 0
    dropped_surplus: int = 0
    resent: int = 0
    refused_datagrams: int = 0


class Forwarder:
    """Works on the shared buffers of `rtc.srtp`, where the port has put the datagram."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._complained_at = 0.0
        self.send_datagram: Any = None  # the socket's sendto, set by the port

    def packet(self, transport: Transport, size: int, now: float) -> bool:
        """Forwards the SRTP packet that lies in `srtp.received`; False when it is not authentic."""
        size = srtp.unprotect_received(transport.rx, size)
        if size <= HEADER_BYTES:
            self._counters.refused_datagrams += 1
            return False
        view = srtp.received_view
        payload_type = view[1] & 0x7F
        track = transport.tracks.get(payload_type)
        if track is None or not track.live:
            self._counters.dropped_no_grant += 1
            transport.refused[payload_type] = transport.refused.get(payload_type, 0) + 1
            return True
        if not track.affords(size, now):
            self._counters.dropped_surplus += 1
            return True
        self._counters.packets_in += 1
        sequence, timestamp, ssrc = _SEQUENCE_TIMESTAMP_SSRC.unpack_from(view, 2)
        index = track.received(ssrc, sequence, timestamp, now)
        if index is not None and track.awaits_key:
            index = track.begin(view[:size], ssrc, sequence, timestamp, now)
        if index is None:
            return True
        sequence = (index + track.sequence_offset) & 0xFFFF
        timestamp = (timestamp + track.timestamp_offset) & 0xFFFFFFFF
        _SEQUENCE_TIMESTAMP_SSRC.pack_into(view, 2, sequence, timestamp, track.ssrc)
        track.sent(sequence, timestamp, now)
        if track.hides_send_time:
            hide_send_time(view[:size])
        if track.ring is not None:
            track.ring.put(sequence, now, bytes(view[:size]))
            track.seen(view[:size], now)
        self._fan_out(track, size)
        if track.tap is not None:
            self._record(track.tap, bytes(view[:size]), now)
        return True

    def _record(self, tap: Tap, packet: bytes, now: float) -> None:
        try:
            tap.packet(packet, now)
        except Exception:  # a recording's mistake must not silence the class
            if now - self._complained_at > COMPLAIN_EVERY_S:
                self._complained_at = now
                log.exception("a recording stumbled over a packet")

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
