"""A lesson's tracks: the presenter's own, and one slot for whoever else has the floor."""

from collections.abc import Mapping, Sequence
from itertools import chain, repeat

from rtc.messages import FLOOR, Codec, Kind
from rtc.sdp import PAYLOAD_TYPE
from rtc.seat import KINDS, Seat
from rtc.simulcast import RIDS
from rtc.tap import Tap
from rtc.track import Track

FLOOR_BPS = 600_000  # a pupil's face beside the lesson


class Stage:
    """Lives as long as the room, so the lines of the viewers' offers never change.

    The floor moves from one pupil to the next without a word to those who watch: the slot's numbers
    go on under the same SSRC.
    """

    make_track = Track

    def __init__(self, presenter: str, codec: Codec, ssrcs: Sequence[int] = ()) -> None:
        self.presenter = presenter
        self.codec = codec
        make, given = self.make_track, chain(ssrcs, repeat(0))
        self.presented = {
            kind: make(
                presenter,
                kind,
                codec,
                rids=RIDS if kind == "video" else ("",),
                ssrc=next(given),
            )
            for kind in PAYLOAD_TYPE[codec]
        }
        self.floor = {
            kind: make(FLOOR, kind, codec, most_bps=FLOOR_BPS, ssrc=next(given)) for kind in KINDS
        }
        for track in self.floor.values():
            track.hides_send_time = True
        self._holder: Seat | None = None
        self._nothing: Mapping[Kind, Track] = {}

    @property
    def tracks(self) -> list[Track]:
        """All of them, in an order that is the same in every worker."""
        return [*self.presented.values(), *self.floor.values()]

    @property
    def holder(self) -> str | None:
        """Who has the floor."""
        return self._holder.member if self._holder is not None else None

    def lines(self, member: str) -> list[Track]:
        """What a member is offered to watch, always the same."""
        floor = [*self.floor.values()]
        return floor if member == self.presenter else [*self.presented.values(), *floor]

    def seat(self, seat: Seat) -> None:
        """Gives a new member his place: the presenter's tracks, or none."""
        presents = seat.member == self.presenter
        seat.screens = presents and "screen" in self.presented
        seat.carry(self.presented if presents else self._nothing)

    def give_floor(self, seats: Mapping[str, Seat]) -> None:
        """Gives the slot to the pupil with a grant; who has it keeps it as long as his lasts."""
        holder = self._next_holder(seats)
        if holder is self._holder:
            return
        if self._holder is not None:
            self._holder.carry(self._nothing)
        self._holder = holder
        if holder is not None:
            holder.carry(self.floor)

    def _next_holder(self, seats: Mapping[str, Seat]) -> Seat | None:
        able = [
            seat
            for seat in seats.values()
            if seat.member != self.presenter
            and any(kind in seat.grants.publish for kind in self.floor)
        ]
        return self._holder if self._holder in able else (able[0] if able else None)

    def tap(self, taps: Mapping[str, Tap]) -> None:
        """Lets a recording hear everything; an empty mapping ends that."""
        names: dict[Kind, str] = {"audio": "voice", "video": "camera", "screen": "screen"}
        for kind, track in self.presented.items():
            track.tap = taps.get(names[kind])
        self.floor["audio"].tap = taps.get("floor")

    def ask_key_frame(self, picture: str, now: float) -> None:
        """Asks for a key frame of the "camera" or the "screen"."""
        track = self.presented.get("video" if picture == "camera" else "screen")
        if track is not None:
            (track.recorded or track.top).ask_key_frame(now)

    def tick(self, now: float) -> None:
        """Lets the recording follow the camera's layers."""
        for track in self.presented.values():
            if track.recorded is not None:
                track.recorded.follow(now)
