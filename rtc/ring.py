"""The last second or two of a track, kept once for all its viewers, to answer their NACKs."""

SLOTS = 1024  # a power of two that divides 2**16: 2 s of 4 Mbit/s
KEEP_S = 2.0


class Ring:
    """Plain packets by the sequence number the viewers see."""

    def __init__(self) -> None:
        self._slots: list[tuple[int, float, bytes] | None] = [None] * SLOTS

    def put(self, sequence: int, now: float, packet: bytes) -> None:
        """Keeps a packet, forgetting the one `SLOTS` before it."""
        self._slots[sequence % SLOTS] = (sequence, now, packet)

    def get(self, sequence: int, now: float, since: float = 0.0) -> bytes | None:
        """The packet, unless it came before `since`, is older than `KEEP_S` or is not here."""
        slot = self._slots[sequence % SLOTS]
        if slot is None or slot[0] != sequence or slot[1] < max(since, now - KEEP_S):
            return None
        return slot[2]

    def since(self, at: float) -> list[bytes]:
        """The packets that came after a moment, in no order."""
        return [slot[2] for slot in self._slots if slot is not None and slot[1] > at]
