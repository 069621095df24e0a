"""The ladder: on which step a viewer stands, and why, from what he gets of what is sent to him.

    high    everything as large as it is sent
    low     a smaller picture: another layer, or its sender is told to send less
    slow    fewer pictures a second
    voice   the voice alone; the page shows slides, or the vitals
    text    not even the voice: slides and what is written

Pure. The allocator (`rtc.allocate`) decides; here is what that is called, and when it is told: down
at once, up when it has held for a while.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rtc.messages import Reason, Step

Standing = tuple[Step, Reason]
HIGHEST: Standing = ("high", "your_link")
STEPS: tuple[Step, ...] = ("high", "low", "slow", "voice", "text")
UP_S = 2.0  # a better step is told when it has been so for this long

SILENCED = 0.9  # under this share of what a voice needs it would only arrive in pieces
SILENCED_S = 3.0  # for so long
ROOM = 1.1  # of what it needs, and it is sent again
TRIED_S = 6.0  # a voice that is silenced again this soon was tried in vain
TRY_S, TRY_MOST_S = 8.0, 30.0


@dataclass(frozen=True)
class Got:
    """What a viewer gets of one picture that is being sent."""

    paused: bool = False
    slow: bool = False
    smaller: bool = False  # than what is sent, or its sender was told to send less for his sake
    all_small: bool = False  # its sender should send larger ones and does not


def step_of(pictures: Sequence[Got], *, silenced: bool) -> Standing:
    """The step of a viewer; who gets all there is stands on the highest."""
    if silenced:
        return "text", "your_link"
    if pictures and all(each.paused for each in pictures):
        return "voice", "your_link"
    if any(each.slow for each in pictures):
        return "slow", "your_link"
    if any(each.paused or each.smaller for each in pictures):
        return "low", "your_link"
    if any(each.all_small for each in pictures):
        return "low", "sender_link"
    return HIGHEST


class Ladder:
    """One viewer's step, as it is told."""

    def __init__(self) -> None:
        self.stands = HIGHEST
        self._better: Standing | None = None
        self._better_since = 0.0

    def stand(self, standing: Standing, now: float) -> None:
        """Takes where he stands now, ten times a second."""
        if _depth(standing) >= _depth(self.stands):
            self.stands, self._better = standing, None
            return
        if self._better is None:
            self._better_since = now
        # The lowest of the whole time is what has held.
        if self._better is None or _depth(standing) > _depth(self._better):
            self._better = standing
        if now - self._better_since >= UP_S:
            self.stands, self._better = self._better, None


def _depth(standing: Standing) -> int:
    return STEPS.index(standing[0])


class Told:
    """What was told of the members of a room; whoever watches nothing stands on the highest."""

    def __init__(self) -> None:
        self._steps: dict[str, Standing] = {}

    def news(self, stands: Mapping[str, Standing]) -> list[tuple[str, Standing]]:
        """Who stands elsewhere than was told last."""
        now = {**dict.fromkeys(self._steps, HIGHEST), **stands}
        changed = [
            (member, standing)
            for member, standing in now.items()
            if standing != self._steps.get(member, HIGHEST)
        ]
        self._steps = {each: standing for each, standing in now.items() if standing != HIGHEST}
        return changed

    def forget(self) -> None:
        """Whom it was told to may have forgotten it: all is told again that is not the highest."""
        self._steps.clear()


class Speech:
    """Whether the voices are sent to a viewer: not when they would only arrive in pieces.

    They are tried again by themselves: at once where there is room for them, and now and then where
    nothing could find that out.
    """

    def __init__(self) -> None:
        self.silenced = False
        self._short_since: float | None = None
        self._changed_at = -TRIED_S
        self._try_s = TRY_S

    def decide(self, bps: float | None, needs: float, now: float) -> None:
        """Takes what the link carries, None: nobody knows; and what all voices together need."""
        if self.silenced:
            found = bps is not None and bps >= ROOM * needs
            if found or now - self._changed_at >= self._try_s:
                self._change(silenced=False, now=now)
            return
        if bps is None or bps >= SILENCED * needs:
            self._short_since = None
            if now - self._changed_at > TRIED_S:
                self._try_s = TRY_S
            return
        if self._short_since is None:
            self._short_since = now
        if now - self._short_since >= SILENCED_S:
            if now - self._changed_at <= TRIED_S:
                self._try_s = min(2 * self._try_s, TRY_MOST_S)
            self._change(silenced=True, now=now)

    def _change(self, *, silenced: bool, now: float) -> None:
        self.silenced, self._changed_at, self._short_since = silenced, now, None
