"""One take of a lesson's recording: packets in, segments out; nothing is decoded."""

import logging
from collections.abc import Callable

from rtc.messages import Recording
from rtc.recording.clock import HOLD_S, Sender
from rtc.recording.line import Line
from rtc.recording.packets import WAIT_S
from rtc.recording.programme import Pictures, Voices, silence_until
from rtc.recording.spool import Spool
from rtc.recording.tracks import PictureTap, VoiceTap
from rtc.tap import Tap

log = logging.getLogger(__name__)

DELAY_S = WAIT_S + 0.2  # what is older than this will not change any more
EARLY_S = 0.3  # a packet may have been made so long before it arrived
LOST_MS = 500  # a later start than this is a loss
RETURN_MS = 10_000  # in which the class comes back to a new worker
MOST_HOLE_MS = 12 * 3600 * 1000
RETRY_S = 1.0
MOST_AT_ONCE_MS = 60_000  # of a hole are filled in one tick: others wait for the worker, too


class Recorder:
    """Listens at the taps of a room from the teacher's start until his stop.

    `now` is `time.monotonic`, `wall` is `time.time` at the same moment.
    """

    def __init__(  # noqa: PLR0917 - a take is where, what, whereto and when
        self,
        room: str,
        recording: Recording,
        spool: Spool,
        ask_key_frame: Callable[[str], None],
        now: float,
        wall: float,
    ) -> None:
        self.room = room
        self.recording = recording
        presenter, floor = Sender(), Sender()
        camera, screen = PictureTap("camera", presenter), PictureTap("screen", presenter)
        voices = VoiceTap(presenter), VoiceTap(floor)
        self._tracks = (*voices, camera, screen)
        self.taps: dict[str, Tap] = {
            "voice": voices[0],
            "floor": voices[1],
            "camera": camera,
            "screen": screen,
        }
        self._ask_key_frame = ask_key_frame
        self._folder = spool.take(room, recording.take)
        start_ms = self._start_ms
        begun_ms = recording.base_ms + round(1000 * (wall - recording.started_at))
        begun_ms = min(max(begun_ms, start_ms), start_ms + MOST_HOLE_MS)
        self._zero_ms = begun_ms - 1000 * now
        late = begun_ms - start_ms >= LOST_MS
        self._lost_until_ms = begun_ms + RETURN_MS if late else start_ms
        self._pictures = Pictures(camera, screen, self._moment)
        self._voices = Voices(voices, self._moment)
        self._line: Line | None = None
        self._failed_ms: int | None = None  # the disk took nothing after this moment
        self._tried_at = now
        self._open()

    def tick(self, now: float) -> None:
        """Makes chunks and cuts segments; called about ten times a second."""
        for track in self._tracks:
            track.settle(now)
        line = self._line or self._open_again(now)
        if line is None:
            return
        try:
            self._advance(line, self._settled_ms(now), now)
        except OSError as failure:
            self._fail(failure)
            return
        self._pictures.ask(line, now, self._ask_key_frame)

    def close(self, now: float) -> None:
        """The end of the take: writes what is there and closes the last segment."""
        end_ms = self._end(now)
        try:
            self._folder.over(end_ms)
        except OSError as failure:  # a later worker will see that nobody goes on with it
            log.warning("room %s: the take's end was not written: %s", self.room, failure)

    def suspend(self, now: float) -> None:
        """The worker goes, the take does not end: leaves it to the next worker."""
        self._end(now)

    @property
    def _start_ms(self) -> int:
        """Where the time line goes on."""
        end_ms = self._folder.end_ms
        return self.recording.base_ms if end_ms is None else end_ms

    def _moment(self, now: float) -> float:
        """Seconds of our clock on the time line."""
        return self._zero_ms + 1000 * now

    def _settled_ms(self, now: float) -> float:
        """Up to where nothing will come any more."""
        held = [each.held_since for each in self._tracks]
        settled = min([now - DELAY_S, *(each - EARLY_S for each in held if each is not None)])
        return self._moment(max(settled, now - HOLD_S - DELAY_S))

    def _open(self) -> Line | None:
        """Opens the line where the last whole segment ends, if the disk lets us."""
        try:
            line = Line(self._folder, self._start_ms, self._lost_until_ms)
        except OSError as failure:
            self._fail(failure)
            return None
        self._pictures.begin(line)
        self._line = line
        return line

    def _open_again(self, now: float) -> Line | None:
        """After a failure: tries once a second; what comes before that moment is lost."""
        if now - self._tried_at < RETRY_S:
            return None
        self._tried_at = now
        self._lost_until_ms = round(self._moment(now))
        for track in self._tracks:
            track.drop()
        return self._open()

    def _advance(self, line: Line, until_ms: float, now: float) -> None:
        until_ms = min(until_ms, line.voice // 48 + MOST_AT_ONCE_MS)
        self._pictures.advance(line, until_ms, now)
        self._voices.advance(line, until_ms)
        line.flush()

    def _fail(self, failure: OSError) -> None:
        """The disk takes nothing now: keeps what is whole and goes on when there is room."""
        if self._failed_ms != self._start_ms:
            log.warning("room %s: the spool takes nothing: %s", self.room, failure)
        self._failed_ms = self._start_ms
        self._line = None
        try:
            self._folder.salvage()
        except OSError as worse:
            log.warning("room %s: the spool keeps nothing: %s", self.room, worse)

    def _end(self, now: float) -> int:
        for track in self._tracks:
            track.settle(float("inf"))
        line = self._line or self._open_again(now)
        if line is None:
            return self._start_ms
        until_ms = self._moment(now)
        try:
            while line.voice + 960 <= until_ms * 48:
                self._advance(line, until_ms, now)
            silence_until(line, round(until_ms))
            return line.end()
        except OSError as failure:
            self._fail(failure)
            return self._start_ms
        finally:
            self._line = None
