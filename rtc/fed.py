"""A lesson's tracks in a branch: fed by a pipe with what the room's home has numbered."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rtc.layer import EVERYTHING, Layer
from rtc.leg import CATCH_UP_STEP
from rtc.messages import Codec
from rtc.reception import Reception
from rtc.seat import Seat
from rtc.stage import Stage
from rtc.track import KEY_FRAME_EVERY_S, Track

if TYPE_CHECKING:
    from rtc.transport import Transport


class FedLayer(Layer):
    """Its numbers are the home's: they go on whatever the publisher does, and fit every branch."""

    arriving = False  # the home says so

    def arrives(self, now: float) -> bool:
        """See Layer."""
        del now
        return self.track.live and self.arriving

    def weigh(self, size: int, now: float) -> None:
        """The home does, also for what it does not send here."""

    def ask_missing(self, now: float) -> None:
        """The home does; what it gets later comes here, too."""

    def _anchor(self, ssrc: int, sequence: int, timestamp: int, now: float) -> Reception:
        """Begins to count the packets; whoever is on the layer stays with the numbers he has.

        Where too many have passed meanwhile he is led over them, see `Leg.catch_up`.
        """
        last, self.first_index = self.last_sequence, EVERYTHING
        ahead = (sequence - last) & 0xFFFF if last is not None else 0
        if last is not None and CATCH_UP_STEP <= ahead < 0x10000 - CATCH_UP_STEP:
            left = [(leg, leg.last_sequence) for leg in self.legs]
            self.last_sequence = (sequence - 1) & 0xFFFF
            self.last_timestamp, self.last_at = timestamp, now
            for leg, left_at in left:
                leg.catch_up(last if left_at is None else left_at)
        for follower in (*self.legs, *self.taps):
            follower.first_index, follower.is_stale = EVERYTHING, True
        self.reception = Reception(ssrc, sequence, self.clock_rate)
        return self.reception


class FedTrack(Track):
    """Its publisher is in the home; it is live when the home has one and our own grants agree."""

    make_layer = FedLayer
    fed = False
    ask: Callable[[float], None] | None = None  # tells the home what is wanted

    @property
    def is_published(self) -> bool:
        """See Track."""
        return self.fed

    def published_by(self, source: "Transport | None") -> None:
        """Nobody publishes here; who was heard on it until now is heard no more."""
        del source
        self.set_live(live=False)

    def feed(self, *, fed: bool) -> None:
        """The home has a publisher of it, or has none any more, or is out of reach."""
        if self.fed and not fed:
            self.set_live(live=False)
        self.fed = fed

    def hear(self, told: Sequence[tuple[bool, int]]) -> None:
        """Which layers arrive at the home, and how large they are."""
        for layer, (arrives, bps) in zip(self.layers, told, strict=False):
            if isinstance(layer, FedLayer):
                layer.arriving, layer.bps = arrives, bps

    def repeat_key_request(self, now: float) -> None:
        """Lets the home ask, if it is time."""
        if (
            now - self._key_asked_at >= KEY_FRAME_EVERY_S
            and self.ask is not None
            and self.keys(now)
        ):
            self._key_asked_at = now
            self.ask(now)

    def keys(self, now: float) -> list[int]:
        """Which layers need a key frame; one that nobody has any more waits for none."""
        return [
            place
            for place, layer in enumerate(self.layers)
            if (layer.waiting or (layer.key_wanted and layer.legs)) and layer.arrives(now)
        ]


class FedStage(Stage):
    """Knows nothing until the home has told what its tracks are."""

    make_track = FedTrack

    def __init__(self, presenter: str, codec: Codec, ssrcs: tuple[int, ...] = ()) -> None:
        super().__init__(presenter, codec, ssrcs)
        self.is_known = bool(ssrcs)
        self.told_holder: str | None = None

    @property
    def fed(self) -> list[FedTrack]:
        """The tracks, in the order of their numbers."""
        return [each for each in self.tracks if isinstance(each, FedTrack)]

    def lines(self, member: str) -> list[Track]:
        """See Stage; nothing is offered before its SSRC is known."""
        return super().lines(member) if self.is_known else []

    def _next_holder(self, seats: Mapping[str, Seat]) -> Seat | None:
        return seats.get(self.told_holder or "")
