"""Who speaks, by the loudness each sender tells of his voice (RFC 6464, extension 1).

Pure: levels and a clock in, a member out. A level is its sender's claim: nothing but the choice of
whose picture is framed, or shown at all, may follow from it.
"""

from collections.abc import Mapping

from rtc.extensions import element

AUDIO_LEVEL = 1  # id as offered in rtc/sdp.py
SILENCE = 127  # -dBov: the least there is
_LEVEL = 0x7F  # the first bit says whether the sender takes it for a voice

SPEAKS = 50.0  # above silence in dB, so -77 dBov: a room's noise is below it, a low voice above
LOUDER = 6.0  # who takes the word from somebody who goes on is so much louder
SMOOTHED = 0.05  # of each packet, of 20 or 40 ms: a click or a cough is nobody's word
FADES = 0.75  # a look without packets: who is muted, or sends nothing while he is silent
QUIET_S = 0.2
PAUSE_S = 1.5  # a speaker breathes
TELL_EVERY_S = 0.3


class Loudness:
    """One voice, smoothed; 0 is silence."""

    __slots__ = ("heard_at", "loud")

    def __init__(self) -> None:
        self.loud = 0.0
        self.heard_at = 0.0

    def heard(self, packet: memoryview, now: float) -> None:
        """Takes the level a packet tells; one that tells none says nothing."""
        at = element(packet, AUDIO_LEVEL)
        if at:
            self.loud += SMOOTHED * (SILENCE - (packet[at] & _LEVEL) - self.loud)
            self.heard_at = now

    def look(self, now: float) -> None:
        """Ten times a second: a voice of which nothing comes fades."""
        if now - self.heard_at > QUIET_S:
            self.loud *= FADES

    def reset(self) -> None:
        """Another's voice comes from now on, or none."""
        self.loud = self.heard_at = 0.0


class Speaker:
    """Who has the word in a room: until somebody else is clearly louder, or after a pause."""

    def __init__(self) -> None:
        self.member: str | None = None
        self._spoke_at = 0.0
        self._told: str | None = None
        self._told_at = float("-inf")

    def look(self, voices: Mapping[str, Loudness], now: float) -> bool:
        """Ten times a second, with the voices that may be heard now; True: it is to be told.

        That nobody speaks because he may no longer be heard is told at once.
        """
        for voice in voices.values():
            voice.look(now)
        silenced = self.member is not None and self.member not in voices
        self._choose(voices, now)
        due = now - self._told_at >= TELL_EVERY_S or (silenced and self.member is None)
        if self.member == self._told or not due:
            return False
        self._told, self._told_at = self.member, now
        return True

    def _choose(self, voices: Mapping[str, Loudness], now: float) -> None:
        present = voices.get(self.member) if self.member is not None else None
        if present is None:
            self.member = None
        elif present.loud >= SPEAKS:
            self._spoke_at = now
        elif now - self._spoke_at > PAUSE_S:
            self.member = present = None
        loudest = max(voices, key=lambda each: voices[each].loud, default=None)
        if loudest is None or loudest == self.member:
            return
        least = SPEAKS if present is None else max(SPEAKS, present.loud + LOUDER)
        if voices[loudest].loud >= least:
            self.member, self._spoke_at = loudest, now
