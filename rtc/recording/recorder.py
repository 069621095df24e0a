"""One take of a lesson's recording: packets in, segments out; nothing is decoded."""

from collections.abc import Callable

from rtc.messages import Recording
from rtc.recording.spool import Spool
from rtc.tap import Tap


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
        self.taps: dict[str, Tap] = {}
        self._spool = spool
        self._ask_key_frame = ask_key_frame
        self._started = (now, wall)

    def tick(self, now: float) -> None:
        """Makes chunks and cuts segments; called about ten times a second."""

    def close(self, now: float) -> None:
        """The end of the take: writes what is there and closes the last segment."""
