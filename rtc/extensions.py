"""The one-byte RTP header extensions (RFC 8285) of a packet, as far as the worker touches them."""

ABS_SEND_TIME = 2  # ids as offered in rtc/sdp.py
_UNUSED = 14

_ONE_BYTE = b"\xbe\xde"


def hide_send_time(packet: memoryview) -> None:
    """Gives the sender's clock an id nobody knows, in place; a packet without one stays as it is.

    A browser estimates its link from the send times of all it receives, as if they came from one
    clock: a second one spoils the estimate for as long as both send.
    """
    if not packet[0] & 0x10:
        return
    at = 12 + 4 * (packet[0] & 0x0F)
    if packet[at : at + 2] != _ONE_BYTE or len(packet) < at + 4:
        return
    end = min(at + 4 + 4 * (packet[at + 2] << 8 | packet[at + 3]), len(packet))
    at += 4
    while at < end:
        if packet[at] == 0:  # padding
            at += 1
            continue
        if packet[at] >> 4 == ABS_SEND_TIME:
            packet[at] = _UNUSED << 4 | packet[at] & 0x0F
            return
        at += 2 + (packet[at] & 0x0F)
