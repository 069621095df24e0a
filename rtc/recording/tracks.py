"""What a recording listens to: tracks whose packets become pictures or voice with their moments."""

from abc import ABC, abstractmethod
from collections import deque
from typing import NamedTuple

from rtc.recording import opus
from rtc.recording.clock import Sender, TrackClock
from rtc.recording.h264 import AccessUnit, Depacketiser
from rtc.recording.mp4 import AUDIO_SCALE, VIDEO_SCALE
from rtc.recording.packets import Packet, Reorder, parse

ASK_EVERY_S = 0.5
MOST_VOICE = 500  # packets that wait for their turn: 10 s
MOST_PICTURES = 1000
MOST_PICTURE_BYTES = 16 << 20
_LOUD = 60  # of a voice whose sender tells no level
_SILENT = 127  # -dBov


class Word(NamedTuple):
    """A packet of voice; `loud` grows with loudness, 0..127."""

    at_s: float
    duration: int
    data: bytes
    loud: int


class View(NamedTuple):
    """A picture."""

    at_s: float
    key: bool
    data: bytes


class TrackTap(ABC):
    """One tap: packets in any order; what is settled lies in `ready`, in seconds of our clock."""

    def __init__(self, rate: int, sender: Sender) -> None:
        self.last_at: float | None = None  # a packet arrived
        self._reorder = Reorder()
        self._clock = TrackClock(rate, sender)

    def packet(self, packet: bytes, now: float) -> None:
        """A plain RTP packet, as viewers see it."""
        parsed = parse(packet, now)
        if parsed is not None:
            self.last_at = now
            for each in self._reorder.put(parsed):
                self._released(each)

    def report(self, ntp: int, rtp_timestamp: int, now: float) -> None:
        """A sender report."""
        self._clock.report(ntp, rtp_timestamp, now)

    def restarted(self) -> None:
        """Another source: what waits is placed as the old one has it, and the clock begins anew."""
        for each in self._reorder.expire(float("inf")):
            self._released(each)
        self._place()
        self._reorder = Reorder()
        self._clock.restart()

    def settle(self, now: float) -> None:
        """Gives up packets waited for too long; places what can be placed."""
        for each in self._reorder.expire(now):
            self._released(each)
        if self._clock.ready(now):
            self._place()

    @abstractmethod
    def drop(self) -> None:
        """Forgets what is ready: nobody has taken it in its time."""

    @property
    @abstractmethod
    def held_since(self) -> float | None:
        """Arrival of the first thing that still has no moment."""

    @abstractmethod
    def _released(self, packet: Packet | None) -> None: ...

    @abstractmethod
    def _place(self) -> None: ...


class VoiceTap(TrackTap):
    """Somebody's voice."""

    def __init__(self, sender: Sender) -> None:
        super().__init__(AUDIO_SCALE, sender)
        self.ready: deque[Word] = deque(maxlen=MOST_VOICE)
        self._held: deque[tuple[int, int, Packet]] = deque(maxlen=MOST_VOICE)

    def drop(self) -> None:
        """See TrackTap."""
        self.ready.clear()

    @property
    def held_since(self) -> float | None:
        """See TrackTap."""
        return self._held[0][2].arrived if self._held else None

    def _released(self, packet: Packet | None) -> None:
        if packet is None or (duration := opus.duration(packet.payload)) is None:
            return
        ticks = self._clock.seen(packet.timestamp, packet.arrived)
        self._held.append((ticks, duration, packet))

    def _place(self) -> None:
        while self._held:
            ticks, duration, packet = self._held.popleft()
            at_s = self._clock.place(ticks, packet.arrived)
            loud = _LOUD if packet.level is None else _SILENT - packet.level
            self.ready.append(Word(at_s, duration, packet.payload, loud))


class PictureTap(TrackTap):
    """Somebody's camera or screen."""

    def __init__(self, name: str, sender: Sender) -> None:
        super().__init__(VIDEO_SCALE, sender)
        self.name = name
        self.ready: deque[View] = deque()
        self.last_key_s: float | None = None  # moment of the newest placed key picture
        self._held: deque[tuple[int, AccessUnit]] = deque()
        self._bytes = 0
        self._depacketiser = Depacketiser()
        self._wanted_since: float | None = None
        self._asked_at: float | None = None
        self._key_at = float("-inf")  # arrival of the newest key picture

    @property
    def held_since(self) -> float | None:
        """See TrackTap."""
        return self._held[0][1].arrived if self._held else None

    @property
    def has_key(self) -> bool:
        """Whether a key picture waits for its turn."""
        return any(each.key for each in self.ready) or any(each.key for _, each in self._held)

    def arrives(self, now: float, within_s: float) -> bool:
        """Whether packets come at all."""
        return self.last_at is not None and now - self.last_at <= within_s

    def next(self) -> View:
        """Takes the first picture that is ready."""
        view = self.ready.popleft()
        self._bytes -= len(view.data)
        return view

    def drop(self) -> None:
        """See TrackTap."""
        while self.ready:
            self.next()

    def want_key(self, now: float) -> None:
        """From now on a key picture is needed."""
        if self._wanted_since is None:
            self._wanted_since = now

    def must_ask(self, now: float) -> bool:
        """Whether the publisher is to be asked for a key picture now."""
        if self._wanted_since is not None and self._key_at > self._wanted_since:
            self._wanted_since = None
        if self._wanted_since is None and not self._depacketiser.needs_key:
            return False
        if self._asked_at is not None and now - self._asked_at < ASK_EVERY_S:
            return False
        self._asked_at = now
        return True

    def restarted(self) -> None:
        """See TrackTap."""
        super().restarted()
        self._depacketiser.restart()

    def _released(self, packet: Packet | None) -> None:
        for unit in self._depacketiser.push(packet):
            if unit.key:
                self._key_at = unit.arrived
            self._held.append((self._clock.seen(unit.timestamp, unit.arrived), unit))
            self._bytes += len(unit.data)
        if self._bytes > MOST_PICTURE_BYTES or len(self._held) > MOST_PICTURES:
            self._held.clear()
            self._bytes = sum(len(each.data) for each in self.ready)
            self._depacketiser.restart()

    def _place(self) -> None:
        while self._held:
            ticks, unit = self._held.popleft()
            at_s = self._clock.place(ticks, unit.arrived)
            if unit.key:
                self.last_key_s = at_s
            self.ready.append(View(at_s, unit.key, unit.data))
