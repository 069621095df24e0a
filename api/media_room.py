"""A room's media as this process holds it: who may be in it, whose page is open, what arrives.

Plain state; api/media.py moves it and speaks with the worker.
"""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from api.live import Tab
from api.socket_messages import MediaKind, MediaStep, MemberState, Presence, Side
from rtc.messages import Codec, Join, Member, MemberPresence, Recording, RoomState, VitalsNow

_LAST_REJOIN_S = 5.0
_DOUBLINGS = 6  # until then

KINDS: tuple[MediaKind, ...] = ("audio", "video", "screen")
# Without a page media go on past the grace for as long, while the worker hears the member and his
# right to be here is looked at. The worker tells of him every five seconds.
HELD_S = 120.0
HEARD_WITHIN_S = 12.0
LOOKED_WITHIN_S = 7.0
# What a page has to publish.
Has = frozenset[MediaKind]

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Card:
    """A member as the others see him, what he may publish, and whether media come to him."""

    person_id: UUID
    name: str
    side: Side
    grants: tuple[MediaKind, ...] = ()
    watches: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a room is to be: everybody who may be in it, present or not, and how media go there."""

    cards: tuple[Card, ...]
    codec: Codec = "vp8"
    presenter: UUID | None = None
    recording: Recording | None = None

    def card(self, person_id: UUID) -> Card | None:
        """The card of a person."""
        return next((card for card in self.cards if card.person_id == person_id), None)


@dataclass(slots=True)
class Seat:
    """A member's place, also while he is away."""

    card: Card
    tab: Tab | None = None
    has: Has | None = None  # None until the page can take offers
    resume: list[str] = field(default_factory=list)
    transports: set[str] = field(default_factory=set)
    muted: set[MediaKind] = field(default_factory=set)
    arriving: frozenset[MediaKind] = frozenset()  # kinds whose packets the worker sees
    step: MediaStep | None = None  # of the ladder, as the worker told last
    failures: int = 0
    leaving: asyncio.TimerHandle | None = None
    left: Tab | None = None  # whose socket was lost, while its media are waited for
    left_s: float = 0.0
    heard_s: float = 0.0  # when the worker last heard him
    looked_s: float = 0.0  # when somebody looked at his right though his page is gone
    came: bool = False  # a page sat here in this process
    lost: dict[MediaKind, float] = field(default_factory=dict)  # when he last lost a grant

    @property
    def empty(self) -> bool:
        """Nobody sits here, nor is he expected back in a moment."""
        return self.tab is None and self.leaving is None

    def deal(self, card: Card) -> None:
        """Give him a new card."""
        now_s = asyncio.get_running_loop().time()
        self.lost.update((kind, now_s) for kind in self.card.grants if kind not in card.grants)
        self.card = card

    def trespasses(self, kind: MediaKind, grace_s: float) -> bool:
        """Whether packets without a grant are his doing: his page is here and has long known."""
        if self.tab is None or kind in self.card.grants:
            return False
        lost_s = self.lost.get(kind)
        return lost_s is None or asyncio.get_running_loop().time() - lost_s > grace_s

    def held(self) -> bool:
        """Whether his media go on without a page: he is heard, and may still be here."""
        now_s = asyncio.get_running_loop().time()
        return (
            now_s - self.left_s < HELD_S
            and now_s - self.heard_s < HEARD_WITHIN_S
            and now_s - self.looked_s < LOOKED_WITHIN_S
        )

    def publish(self) -> list[MediaKind]:
        """Kinds that go out from here: granted and not muted."""
        return [kind for kind in self.card.grants if kind not in self.muted]

    def stay(self) -> None:
        """He is back, or gone for good: nothing is waited for any more."""
        if self.leaving:
            self.leaving.cancel()
        self.leaving = self.left = None

    def see(self, seen: MemberPresence) -> None:
        """Take over what the worker sees of this member."""
        arrives = {"audio": seen.audio, "video": seen.video, "screen": seen.screen}
        self.arriving = frozenset(kind for kind in KINDS if arrives[kind])
        self.failures = 0 if seen.connected else self.failures

    def join(self, room_id: UUID) -> Join | None:
        """What asks the worker for offers; None while no page can take them."""
        if self.tab is None or self.has is None:
            return None
        return Join(
            str(room_id),
            str(self.card.person_id),
            "audio" in self.has,
            "video" in self.has,
            sorted(self.transports),
            "screen" in self.has,
        )

    def fails(self) -> float:
        """Count a failure; how many seconds later he is to be asked for again."""
        self.failures += 1
        return min(_LAST_REJOIN_S, 0.1 * (1 << min(self.failures, _DOUBLINGS)))

    def state(self) -> MemberState:
        """The member as pages show him."""
        flows = self.arriving.intersection(self.publish())
        return MemberState(
            id=self.card.person_id,
            name=self.card.name,
            side=self.card.side,
            online=self.tab is not None,
            audio="audio" in flows,
            video="video" in flows,
            screen="screen" in flows,
        )


@dataclass(slots=True)
class Room:
    """The seats of a room and the plan they follow."""

    plan: Plan
    seats: dict[UUID, Seat] = field(default_factory=dict)
    speaking: UUID | None = None
    vitals: VitalsNow = "none"  # of a visit's patient
    worker: str | None = None  # whose the media are that pages have
    missing: asyncio.TimerHandle | None = None  # the worker is; pages are told when this rings
    away: bool = False  # and have been told, so they have closed what they had

    @property
    def empty(self) -> bool:
        """Nobody is here or expected back, and nothing is recorded."""
        here = any(not seat.empty for seat in self.seats.values())
        return not here and self.plan.recording is None

    def members(self) -> list[MemberState]:
        """Who is in the room, as its pages show it."""
        return [seat.state() for seat in self.seats.values()]

    def present(self) -> set[UUID]:
        """Who has the page open, or still sends something."""
        seats = self.seats.items()
        return {one for one, seat in seats if seat.tab is not None or seat.arriving}

    def tell_presence(self) -> None:
        """Tell every page who is here, and what arrives of whom."""
        self.tell(_encode(Presence(members=self.members())))

    def tell(self, *messages: bytes) -> None:
        """Tell every page that is open."""
        for seat in self.seats.values():
            for message in messages:
                if seat.tab:
                    seat.tab.tell(message)

    def rest(self) -> None:
        """Nothing is waited for any more."""
        for seat in self.seats.values():
            seat.stay()
        if self.missing is not None:
            self.missing.cancel()

    def found(self, worker: str) -> bool:
        """The worker is here: whether pages still have the media they had."""
        if self.missing is not None:
            self.missing.cancel()
        kept = not self.away and self.worker in {None, worker}
        self.worker, self.missing, self.away = worker, None, False
        self.speaking = self.speaking if kept else None
        for seat in self.seats.values():
            seat.failures = 0
            if not kept:
                seat.transports, seat.resume, seat.step = set(), [], None
        return kept

    def state(self, room_id: UUID, version: int) -> RoomState:
        """The whole desired state, as the worker is told it."""
        members = [
            Member(str(seat.card.person_id), list(seat.publish()), subscribe=seat.card.watches)
            for seat in self.seats.values()
        ]
        presenter = str(self.plan.presenter) if self.plan.presenter else None
        return RoomState(
            str(room_id),
            version,
            members,
            self.plan.codec,
            presenter,
            self.plan.recording,
            vitals=self.vitals,
        )
