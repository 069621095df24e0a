"""Which RTP packet begins a key frame; asked in the hot path, so nothing is parsed further.

A cut or hostile packet is no key frame: nothing here raises.
"""

from collections.abc import Callable

from rtc.messages import Codec

HEADER_BYTES = 12

# NAL unit types (H.264 table 7-1 and RFC 6184 section 5.4).
_IDR, _SPS = 5, 7
_STAP_A, _FU_A = 24, 28
_KEY, _SETS = frozenset({_IDR, _SPS}), frozenset({_SPS})


def payload_at(packet: memoryview) -> int:
    """Where the payload begins: behind the CSRCs and the header extension; may lie past the end."""
    at = HEADER_BYTES + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        if len(packet) < at + 4:
            return len(packet)
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    return at


def is_vp8_key_frame(packet: memoryview) -> bool:
    """Whether a packet begins a VP8 key frame (RFC 7741 sections 4.2 and 4.3)."""
    at = payload_at(packet)
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


def is_h264_key_frame(packet: memoryview) -> bool:
    """Whether a packet begins an IDR picture or the parameter sets before it (RFC 6184)."""
    return _begins(packet, _KEY)


def begins_h264_sets(packet: memoryview) -> bool:
    """Whether a packet begins a key frame with its parameter sets.

    A decoder that comes from another size needs them: an IDR picture without is read by the old.
    """
    return _begins(packet, _SETS)


def _begins(packet: memoryview, kinds: frozenset[int]) -> bool:
    at = payload_at(packet)
    if len(packet) < at + 2:
        return False
    nal = packet[at] & 0x1F
    if nal == _FU_A:
        return bool(packet[at + 1] & 0x80) and packet[at + 1] & 0x1F in kinds
    if nal != _STAP_A:
        return nal in kinds
    at += 1
    while len(packet) > at + 2:
        if packet[at + 2] & 0x1F in kinds:
            return True
        at += 2 + (packet[at] << 8 | packet[at + 1])
    return False


BEGINS_KEY_FRAME: dict[Codec, Callable[[memoryview], bool]] = {
    "vp8": is_vp8_key_frame,
    "h264": is_h264_key_frame,
}

# Where a viewer may be moved to the stream.
BEGINS_WHOLE_PICTURE: dict[Codec, Callable[[memoryview], bool]] = {
    "vp8": is_vp8_key_frame,
    "h264": begins_h264_sets,
}
