"""The one-byte RTP header extensions (RFC 8285) of a packet, as far as the worker touches them."""

ABS_SEND_TIME = 2  # ids as offered in rtc/sdp.py
TRANSPORT_WIDE = 3
RID = 10  # RFC 8852: which layer of a publisher's picture
REPAIRED_RID = 11  # which layer a retransmission belongs to
_UNUSED = 14
_LAST = 15  # RFC 8285 section 4.2: nothing after it may be read

_ONE_BYTE = b"\xbe\xde"


def element(packet: memoryview, number: int) -> int:
    """Where an extension's first byte of data lies; 0 when the packet has none, or a cut one."""
    if not packet[0] & 0x10:
        return 0
    at = 12 + 4 * (packet[0] & 0x0F)
    if packet[at : at + 2] != _ONE_BYTE or len(packet) < at + 4:
        return 0
    end = min(at + 4 + 4 * (packet[at + 2] << 8 | packet[at + 3]), len(packet))
    at += 4
    while at < end:
        head = packet[at]
        if head == 0:  # padding
            at += 1
            continue
        if head >> 4 == _LAST:
            return 0
        after = at + 2 + (head & 0x0F)
        if head >> 4 == number:
            return at + 1 if after <= end else 0
        at = after
    return 0


def wide_number(packet: memoryview) -> int:
    """Where the two bytes of a packet's transport-wide number lie; 0 when it has none."""
    at = element(packet, TRANSPORT_WIDE)
    return at if at and packet[at - 1] & 0x0F else 0  # of one byte it is none


def rid(packet: memoryview, number: int = RID) -> str:
    """The layer a packet names; empty when it names none."""
    at = element(packet, number)
    if not at:
        return ""
    size = (packet[at - 1] & 0x0F) + 1
    return bytes(packet[at : at + size]).decode("ascii", "replace")


def hide_send_time(packet: memoryview) -> None:
    """Gives the sender's clock an id nobody knows, in place; a packet without one stays as it is.

    A browser estimates its link from the send times of all it receives, as if they came from one
    clock: a second one spoils the estimate for as long as both send.
    """
    at = element(packet, ABS_SEND_TIME)
    if at:
        packet[at - 1] = _UNUSED << 4 | packet[at - 1] & 0x0F
