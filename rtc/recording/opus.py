"""What a recording must know of Opus packets (RFC 6716 section 3): how long, and whether sound."""

SILENCE = b"\xf8\xff\xfe"  # 20 ms of nothing
SILENCE_TICKS = 960
LEAST_TICKS = 480
MOST_TICKS = 5760  # 120 ms
_MOST_FRAME_BYTES = 1275

_SILK = (480, 960, 1920, 2880)
_HYBRID = (480, 960)
_CELT = (120, 240, 480, 960)


def duration(packet: bytes) -> int | None:
    """Samples at 48 kHz; None for a packet that a strict decoder would stumble over."""
    if not packet:
        return None
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:  # noqa: PLR2004 - RFC 6716 table 2
        frame = _SILK[config & 3]
    elif config < 16:  # noqa: PLR2004
        frame = _HYBRID[config & 1]
    else:
        frame = _CELT[config & 3]
    count = _frames(packet, code)
    ticks = frame * count
    return ticks if LEAST_TICKS <= ticks <= MOST_TICKS else None


def _frames(packet: bytes, code: int) -> int:
    """Number of frames; 0 when the lengths do not fit the packet."""
    size = len(packet) - 1
    if code == 0:
        return 1 if size <= _MOST_FRAME_BYTES else 0
    if code == 1:
        return 2 if size % 2 == 0 and size // 2 <= _MOST_FRAME_BYTES else 0
    if code == 2:  # noqa: PLR2004
        first = _length(packet, 1)
        fits = first is not None and sum(first) <= size
        if not fits or first is None:
            return 0
        return 2 if size - sum(first) <= _MOST_FRAME_BYTES else 0
    return _many(packet)


def _length(packet: bytes, at: int) -> tuple[int, int] | None:
    """A frame's length and the bytes that say it."""
    if at >= len(packet):
        return None
    if packet[at] < 252:  # noqa: PLR2004 - RFC 6716 section 3.2.1
        return packet[at], 1
    return (packet[at] + 4 * packet[at + 1], 2) if at + 1 < len(packet) else None


def _many(packet: bytes) -> int:
    if len(packet) < 2:  # noqa: PLR2004
        return 0
    count, padded, variable = packet[1] & 0x3F, packet[1] & 0x40, packet[1] & 0x80
    at, padding = 2, 0
    while padded:
        if at >= len(packet):
            return 0
        step = packet[at]
        at += 1
        padding += min(step, 254)
        padded = step == 255  # noqa: PLR2004 - another byte of padding length follows
    rest = len(packet) - padding
    if not count or rest < at:
        return 0
    if not variable:
        frame, over = divmod(rest - at, count)
        return count if not over and frame <= _MOST_FRAME_BYTES else 0
    total = 0
    for _ in range(count - 1):
        length = _length(packet, at)
        if length is None:
            return 0
        total, at = total + length[0], at + length[1]
    return count if 0 <= rest - at - total <= _MOST_FRAME_BYTES else 0
