"""H264 out of RTP (RFC 6184, non-interleaved mode): packets to access units as MP4 wants them."""

from typing import NamedTuple

from rtc.recording.packets import Packet

MOST_UNIT_BYTES = 4 << 20
_SLICE, _IDR, _SPS, _PPS, _DELIMITER, _FILLER = 1, 5, 7, 8, 9, 12
_STAP_A, _FU_A = 24, 28
_MOST_PPS = 8


class AccessUnit(NamedTuple):
    """One picture: NAL units with lengths of four bytes; a key picture brings SPS and PPS."""

    timestamp: int
    key: bool
    data: bytes
    arrived: float


def prefixed(unit: bytes) -> bytes:
    """A NAL unit behind its length."""
    return len(unit).to_bytes(4, "big") + unit


def _begins_key(payload: bytes) -> bool:
    """Whether a packet begins with an SPS."""
    at = 3 if payload[0] & 0x1F == _STAP_A else 0
    return len(payload) > at and payload[at] & 0x1F == _SPS


class Depacketiser:
    """Packets in their order to pictures; after a loss nothing until the next key picture."""

    def __init__(self) -> None:
        self.needs_key = True
        self._units: list[bytes] = []
        self._bytes = 0
        self._fragments: list[bytes] | None = None
        self._broken = False
        self._timestamp: int | None = None
        self._arrived = 0.0
        self._sps = b""
        self._pps: list[bytes] = []

    def push(self, packet: Packet | None) -> list[AccessUnit]:
        """The pictures that this packet completes; None says that packets are missing."""
        if packet is None:
            self._broken = True
            return []
        out: list[AccessUnit] = []
        if self._timestamp is not None and packet.timestamp != self._timestamp:
            # A gap between two pictures took the end of one or the beginning of the other.
            # Which, nobody knows, unless the second begins as key pictures do.
            broken = self._broken
            self._end(out)
            self._broken = broken
        if self._timestamp is None and self._broken and _begins_key(packet.payload):
            self._broken, self.needs_key = False, True
        self._timestamp, self._arrived = packet.timestamp, packet.arrived
        self._take(packet.payload)
        if self._bytes > MOST_UNIT_BYTES:
            self._broken, self._units, self._fragments, self._bytes = True, [], None, 0
        if packet.marker:
            self._end(out)
        return out

    def restart(self) -> None:
        """Another source: what is begun stays unfinished."""
        self._units, self._fragments, self._bytes = [], None, 0
        self._timestamp, self._broken, self.needs_key = None, False, True

    def _take(self, payload: bytes) -> None:
        kind = payload[0] & 0x1F
        if payload[0] & 0x80:  # forbidden_zero_bit
            self._broken = True
        elif 1 <= kind < _STAP_A:
            self._unit(payload)
        elif kind == _STAP_A:
            self._aggregate(payload)
        elif kind == _FU_A:
            self._fragment(payload)
        else:
            self._broken = True

    def _unit(self, unit: bytes) -> None:
        kind = unit[0] & 0x1F
        if self._fragments is not None or not 0 < kind < _STAP_A:
            self._broken, self._fragments = True, None
        elif kind not in {_DELIMITER, _FILLER}:
            self._units.append(unit)
            self._bytes += len(unit)

    def _aggregate(self, payload: bytes) -> None:
        at = 1
        while at + 2 <= len(payload):
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if not 0 < size <= len(payload) - at:
                self._broken = True
                return
            self._unit(payload[at : at + size])
            at += size

    def _fragment(self, payload: bytes) -> None:
        if len(payload) < 3:  # noqa: PLR2004 - two headers and something
            self._broken = True
            return
        begins, ends = payload[1] & 0x80, payload[1] & 0x40
        if begins:
            if self._fragments is not None:
                self._broken = True
            self._fragments = [bytes([payload[0] & 0xE0 | payload[1] & 0x1F])]
        if self._fragments is None:
            self._broken = True
            return
        self._fragments.append(payload[2:])
        self._bytes += len(payload)
        if ends:
            unit, self._fragments = b"".join(self._fragments), None
            self._unit(unit)

    def _end(self, out: list[AccessUnit]) -> None:
        units, timestamp = self._units, self._timestamp
        broken = self._broken or self._fragments is not None
        self._units, self._fragments, self._bytes = [], None, 0
        self._broken, self._timestamp = False, None
        if broken:
            self.needs_key = True
            return
        kinds = {unit[0] & 0x1F for unit in units}
        self._remember(units)
        if timestamp is None or not kinds & {_SLICE, 2, 3, 4, _IDR}:
            return
        key = _IDR in kinds
        if key and not {_SPS, _PPS} <= kinds:
            if not self._sps or not self._pps:
                self.needs_key = True
                return
            rest = [unit for unit in units if unit[0] & 0x1F not in {_SPS, _PPS}]
            units = [self._sps, *self._pps, *rest]
        if key:
            self.needs_key = False
        if not self.needs_key:
            data = b"".join(map(prefixed, units))
            out.append(AccessUnit(timestamp, key, data, self._arrived))

    def _remember(self, units: list[bytes]) -> None:
        for unit in units:
            kind = unit[0] & 0x1F
            if kind == _SPS:
                self._sps, self._pps = unit, []
            elif kind == _PPS and unit not in self._pps and len(self._pps) < _MOST_PPS:
                self._pps.append(unit)
