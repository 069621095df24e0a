"""Who gets how much of a viewer's link: the voices first, then the pictures by weight.

Pure: rates in, choices out. The clock only says how long something has been so.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

VOICE_BPS = 48_000  # kept free for each voice that is heard, with its headers
ROOM = 1.2  # a larger picture must fit so many times
ROOM_S = 2.0  # for so long
SHORT_S = 3.0  # a picture that does not fit at all is paused after this
BENT = 0.5  # a picture alone in its track bends: its sender is told to send less


@dataclass(frozen=True)
class Wish:
    """One picture a viewer watches."""

    key: Hashable
    needs: tuple[int, ...]  # bits a second of the layers that arrive, from small to large
    weight: int = 0  # the heavier is served first
    now: int | None = None  # which of them he gets; None: nothing

    @property
    def least(self) -> float:
        """Without this much it is not worth sending."""
        bends = len(self.needs) == 1 and self.now is not None
        return self.needs[0] * BENT if bends else self.needs[0]


def allocate(bps: float, wishes: Sequence[Wish]) -> list[int | None]:
    """The layer of each picture: first the smallest for all as far as it goes, then larger ones."""
    chosen: list[int | None] = [None] * len(wishes)
    order = sorted(range(len(wishes)), key=lambda n: -wishes[n].weight)
    left = bps
    for n in order:
        if wishes[n].needs and wishes[n].least <= left:
            chosen[n] = 0
            left -= min(wishes[n].needs[0], left)
    grown = True
    while grown:
        grown = False
        for n in order:
            at, needs = chosen[n], wishes[n].needs
            if at is None or at + 1 >= len(needs):
                continue
            more = needs[at + 1] - needs[at]
            if more <= left:
                chosen[n] = at + 1
                left -= max(0, more)
                grown = True
    return chosen


class Steady:
    """Down at once, up only when there has been room for a while."""

    def __init__(self) -> None:
        self._roomy_since: dict[Hashable, float] = {}
        self._short_since: dict[Hashable, float] = {}

    def forget(self) -> None:
        """All are well: whatever has been so for a while is over."""
        self._roomy_since.clear()
        self._short_since.clear()

    def decide(self, bps: float, wishes: Sequence[Wish], now: float) -> list[int | None]:
        """The layer each picture shall have from now on."""
        fitting = allocate(bps, wishes)
        roomy = allocate(bps / ROOM, wishes)
        keys = {each.key for each in wishes}
        for since in (self._roomy_since, self._short_since):
            for gone in since.keys() - keys:
                del since[gone]
        return [
            self._choice(wish, _level(fits), min(_level(fits), _level(room)), now)
            for wish, fits, room in zip(wishes, fitting, roomy, strict=True)
        ]

    def _choice(self, wish: Wish, fits: int, room: int, now: float) -> int | None:
        has = _level(wish.now)
        if room > has:
            if now - self._roomy_since.setdefault(wish.key, now) >= ROOM_S:
                del self._roomy_since[wish.key]
                return room
        else:
            self._roomy_since.pop(wish.key, None)
        if fits >= 0:
            self._short_since.pop(wish.key, None)
            return min(has, fits) if has >= 0 else None
        if has < 0 or now - self._short_since.setdefault(wish.key, now) >= SHORT_S:
            return None
        return 0


def _level(chosen: int | None) -> int:
    return -1 if chosen is None else chosen
