"""What of a lesson goes into its recording: one picture and one voice at a time."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rtc.recording import opus
from rtc.recording.line import LEAST_SEGMENT_MS, MOST_SEGMENT_MS, Line
from rtc.recording.mp4 import AUDIO_MS
from rtc.recording.tracks import PictureTap, View, VoiceTap

BLACK = Path(__file__).with_name("black.bin").read_bytes()

FREEZE_MS = 1500  # a still screen is sent about once a second: that is no absence
REPEAT_MS = 1000
SCREEN_GONE_MS = 3000
KEY_EVERY_MS = 2300  # asked for then, it is there at two and a half seconds
MOST_LATE_MS = 500  # a picture later than that is given up

LOUDER = 6  # dB, for
LOUDER_FOR = 10  # packets
AWAY_FOR = 5  # packets without which the other one may speak
_SMOOTH = 0.2

Moment = Callable[[float], float]  # seconds of our clock → ms of the time line


class Pictures:
    """The screen while it arrives, else the camera; never nothing."""

    def __init__(self, camera: PictureTap, screen: PictureTap, moment: Moment) -> None:
        self.current: PictureTap | None = None
        self._camera, self._screen = camera, screen
        self._moment = moment
        self._broken = True  # the next picture does not follow from the one shown last
        self._repeats = False
        self._screen_ms = float("-inf")
        self._key = BLACK
        self._plan_ms = 0.0

    def begin(self, line: Line) -> None:
        """The line's first picture is black: what was shown before belongs before the hole."""
        self._key = BLACK
        self._broken = self._repeats = True
        line.show(line.start_ms, self._key, key=True)

    def advance(self, line: Line, until_ms: float, now: float) -> None:
        """Shows everything up to a moment."""
        while (tap := self._first(until_ms)) is not None:
            view = tap.next()
            at_ms = self._moment(view.at_s)
            if tap is self._screen:
                self._screen_ms = at_ms
            if self._goes(tap, view, at_ms, now) and at_ms > line.shown_ms - MOST_LATE_MS:
                self._show(line, tap, view, round(at_ms))
            elif tap is self.current:
                self._broken = True
        self._fill(line, until_ms)

    def ask(self, line: Line, now: float, ask_key_frame: Callable[[str], None]) -> None:
        """Asks for the key pictures that the programme needs."""
        wanted = self._screen if self._screen.arrives(now, SCREEN_GONE_MS / 1000) else self._camera
        if not wanted.arrives(now, 1.0):
            return
        self._plan_ms = max(self._plan_ms, line.cut_ms)
        if wanted.last_key_s is not None:
            key_ms = self._moment(wanted.last_key_s)
            if key_ms - self._plan_ms >= LEAST_SEGMENT_MS:
                self._plan_ms = key_ms
        late = self._moment(now) - self._plan_ms >= KEY_EVERY_MS
        if late or (wanted is not self.current and not wanted.has_key):
            wanted.want_key(now)
        if wanted.must_ask(now):
            ask_key_frame(wanted.name)

    def _first(self, until_ms: float) -> PictureTap | None:
        ready = [tap for tap in (self._screen, self._camera) if tap.ready]
        first = min(ready, key=lambda tap: tap.ready[0].at_s, default=None)
        if first is None or self._moment(first.ready[0].at_s) > until_ms:
            return None
        return first

    def _goes(self, tap: PictureTap, view: View, at_ms: float, now: float) -> bool:
        """Whether this picture is the programme's next."""
        screen_is_on = self.current is self._screen and at_ms - self._screen_ms < SCREEN_GONE_MS
        if tap is self._camera and screen_is_on:
            return False
        if view.key:
            return True
        if tap is self.current and self._broken and not tap.has_key:
            tap.want_key(now)
        return tap is self.current and not self._broken

    def _show(self, line: Line, tap: PictureTap, view: View, at_ms: int) -> None:
        self._fill(line, max(at_ms, line.shown_ms + 1))
        if self._broken and not view.key:
            return  # the segment had to be cut just before
        if view.key:
            self._key = view.data
        self.current, self._broken, self._repeats = tap, False, False
        line.show(at_ms, view.data, key=view.key)
        line.recorded(at_ms)

    def _fill(self, line: Line, until_ms: float) -> None:
        """Repeats the last key picture where there is no other."""
        while True:
            freeze = line.shown_ms + (REPEAT_MS if self._repeats else FREEZE_MS)
            due = min(freeze, line.cut_ms + MOST_SEGMENT_MS)
            if due >= until_ms:
                return
            self._broken = self._repeats = True
            line.show(due, self._key, key=True)


class _Speaker:
    """One voice and how loud it has been lately."""

    def __init__(self, tap: VoiceTap) -> None:
        self.tap = tap
        self.loud = 0.0
        self.absent = AWAY_FOR

    def due(self, voice: int, moment: Moment) -> tuple[int, bytes] | None:
        """The packet that belongs to this moment; older ones are dropped: the clock was slow."""
        ready, found = self.tap.ready, None
        while ready:
            ahead = moment(ready[0].at_s) * AUDIO_MS - voice
            if ahead >= opus.SILENCE_TICKS:
                break
            word = ready.popleft()
            if ahead > -opus.SILENCE_TICKS:
                found = word
                break
        self.loud += _SMOOTH * ((found.loud if found else 0) - self.loud)
        self.absent = 0 if found else self.absent + 1
        return (found.duration, found.data) if found else None


class Voices:
    """The louder of the presenter and the floor, packet by packet; else silence."""

    def __init__(self, taps: Sequence[VoiceTap], moment: Moment) -> None:
        self._speakers = [_Speaker(tap) for tap in taps]
        self._current = self._speakers[0]
        self._louder = 0
        self._moment = moment

    def advance(self, line: Line, until_ms: float) -> None:
        """Says everything up to a moment."""
        until = until_ms * AUDIO_MS
        while line.voice + opus.SILENCE_TICKS <= until:
            due = [(each, each.due(line.voice, self._moment)) for each in self._speakers]
            self._choose()
            for speaker, packet in due:
                if speaker is self._current and packet is not None:
                    line.recorded(line.voice // AUDIO_MS)
                    line.say(*packet)
                    break
            else:
                line.say(opus.SILENCE_TICKS, opus.SILENCE)

    def _choose(self) -> None:
        others = [each for each in self._speakers if each is not self._current and not each.absent]
        best = max(others, key=lambda each: each.loud, default=None)
        if best is None:
            self._louder = 0
            return
        louder = best.loud > self._current.loud + LOUDER
        self._louder = self._louder + 1 if louder else 0
        if self._louder >= LOUDER_FOR or self._current.absent >= AWAY_FOR:
            self._current, self._louder = best, 0


def silence_until(line: Line, end_ms: int) -> None:
    """Fills the voice up to a moment."""
    while line.voice < end_ms * AUDIO_MS:
        line.say(opus.SILENCE_TICKS, opus.SILENCE)
