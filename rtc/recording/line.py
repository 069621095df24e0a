"""A take's time line: pictures and voice without holes, written as chunks, cut into segments.

Every segment starts with a key picture on the grid of 20 ms that the voice's packets make, so both
tracks of it begin and end together. A picture lasts until the next one.
"""

from collections import deque
from typing import NamedTuple

from rtc.recording import mp4, opus
from rtc.recording.mp4 import AUDIO_MS, Picture, Sound
from rtc.recording.take_folder import TakeFolder

GRID_MS = 20
CHUNK_MS = 500
LEAST_SEGMENT_MS = 2000
MOST_SEGMENT_MS = 3960


class _Shown(NamedTuple):
    at_ms: int
    key: bool
    data: bytes


class Line:
    """From `start_ms` on; what comes before `lost_until_ms` is missing because nobody recorded.

    Every writing method raises `OSError` when the disk will not; the line is then at its end.
    """

    def __init__(self, folder: TakeFolder, start_ms: int, lost_until_ms: int) -> None:
        folder.begin(start_ms, lost_until_ms)
        self.start_ms = start_ms
        self.voice = start_ms * AUDIO_MS  # where the next packet goes
        self.shown_ms = start_ms - 1  # when the last picture began
        self.cut_ms = start_ms  # where the newest segment begins
        self._folder = folder
        self._lost_until_ms = lost_until_ms
        self._pictures: deque[_Shown] = deque()
        self._sounds: list[Sound] = []
        self._cuts: deque[int] = deque()
        self._segment_ms = self._chunk_ms = start_ms
        self._has_picture = False  # the open segment, in its file
        self._sequence = start_ms

    def show(self, at_ms: int, data: bytes, *, key: bool) -> None:
        """The next picture; a key picture late enough in its segment begins another one."""
        at_ms = max(at_ms, self.shown_ms + 1)
        if key and at_ms - self.cut_ms >= LEAST_SEGMENT_MS:
            at_ms = self.cut_ms + round((at_ms - self.cut_ms) / GRID_MS) * GRID_MS
            at_ms += GRID_MS if at_ms <= self.shown_ms else 0
            self._cuts.append(at_ms)
            self.cut_ms = at_ms
        self._pictures.append(_Shown(at_ms, key, data))
        self.shown_ms = at_ms

    def say(self, duration: int, data: bytes) -> None:
        """The next packet of the voice."""
        self._sounds.append(Sound(self.voice, duration, data))
        self.voice += duration

    def recorded(self, at_ms: int) -> None:
        """Something real was seen or heard: from here on nothing is lost."""
        self._lost_until_ms = min(self._lost_until_ms, at_ms)

    def flush(self) -> None:
        """Writes what is settled: chunks of half a second, segments that are over."""
        while self._cuts and self.voice >= self._cuts[0] * AUDIO_MS:
            cut = self._cuts.popleft()
            self._finish(cut)
            self._folder.begin(cut, self._lost_until_ms)
            self._has_picture = False
        end = self.voice // AUDIO_MS
        if end - self._chunk_ms >= CHUNK_MS:
            self._write(end)

    def end(self) -> int:
        """Ends the last segment where the voice ends; gives that moment."""
        self.flush()
        end = self.voice // AUDIO_MS
        if end > self._segment_ms == self._chunk_ms and not self._sounds:
            # The last packet began before the cut, and a segment without a sound is none.
            self.say(opus.SILENCE_TICKS, opus.SILENCE)
            end = self.voice // AUDIO_MS
        while self._pictures and self._pictures[-1].at_ms >= end:
            self._pictures.pop()  # begun after the end
        self._pictures.append(_Shown(end, key=True, data=b""))
        self._finish(end)
        return end

    def _finish(self, end_ms: int) -> None:
        self._write(end_ms)
        lost = min(max(0, self._lost_until_ms - self._segment_ms), end_ms - self._segment_ms)
        self._folder.finish(end_ms, lost)
        self._segment_ms = end_ms

    def _write(self, end_ms: int) -> None:
        pictures = []
        while len(self._pictures) > 1 and self._pictures[1].at_ms <= end_ms:
            at_ms, key, data = self._pictures.popleft()
            pictures.append(Picture(at_ms, self._pictures[0].at_ms - at_ms, key, data))
        if not pictures and not self._has_picture:
            return  # a segment begins with its key picture
        sounds = [each for each in self._sounds if each.start < end_ms * AUDIO_MS]
        if not pictures and not sounds:
            return
        self._sounds = self._sounds[len(sounds) :]
        self._sequence = max(self._sequence, self._chunk_ms) + 1
        self._has_picture = True
        self._chunk_ms = end_ms
        voice = mp4.voice_chunk(self._sequence, sounds) if sounds else b""
        self._folder.append(mp4.chunk(self._sequence, pictures, sounds), voice)
