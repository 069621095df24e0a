"""One room: the desired state from the API made true in Janus, and told back as offers."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rtc.janus.hush import Hush
from rtc.janus.lines import Talk, Wanted, feed_of, floor_of, lines_of
from rtc.janus.page_sdp import BadOfferError, check
from rtc.janus.seat import Feed, Line, Publish, Seat, Watch, Way
from rtc.janus.session import JanusError, Json, Session
from rtc.janus.turns import Turns
from rtc.janus.videoroom import VideoRoom
from rtc.messages import (
    FLOOR,
    Answer,
    FromWorker,
    Join,
    Kind,
    Leave,
    MemberPresence,
    Offer,
    Presence,
    Restart,
    RoomState,
    Speaking,
    TrackInfo,
    TransportFailed,
)

log = logging.getLogger(__name__)

# Janus has no reason "the page went": it hears DTLS's goodbye.
REASONS = {"ICE failed": "expired", "DTLS timeout": "dtls"}
AGAIN_S = 1.0
MOST_WAITING = 1000  # of what pages say
NO_HANDLE = 0

Message = Join | Answer | Restart | Leave


class Room:
    """Everything is done one after the other, the newest state before whatever waits; silencing
    waits for nothing.
    """

    def __init__(
        self,
        wanted: RoomState,
        session: Session,
        admin_key: str,
        tell: Callable[[FromWorker], None],
    ) -> None:
        self.name = wanted.room
        self.seats: dict[str, Seat] = {}
        self._janus = VideoRoom(session, admin_key)
        self._tell = tell
        self._hush = Hush(self._janus)
        self._wanted = wanted
        self._newest = wanted
        self._version = -1  # of the newest
        self._reached = -1  # the version that was worked on last
        self._early: dict[str, Join] = {}  # of members who have no seat yet
        self._made = ("", "")  # codec and presenter of the room as it is in Janus
        self._holder: str | None = None  # of the floor
        self._talk = Talk()
        self._presence: list[MemberPresence] | None = None
        self._presence_version = 0
        self._turns: Turns[RoomState | Message | tuple[int, Json]] = Turns(self.name, self._do)

    def take(self, message: RoomState | Message) -> None:
        """Does what a message asks; a grant that ends is silent before anything else is done."""
        if isinstance(message, RoomState):
            if message.version <= self._version:
                return
            self._newest, self._version = message, message.version
            self._hush.take(message, self.seats)
        elif self._turns.waiting > MOST_WAITING:
            log.warning("room %s: too much at once", self.name)
            return
        self._turns.add(message)

    def heard(self, handle: int, event: Json) -> None:
        """What Janus says of one of the room's handles."""
        self._turns.add((handle, event))

    async def stop(self) -> None:
        """Does nothing more."""
        await self._turns.stop()
        await self._hush.stop()

    async def finish(self) -> None:
        """Does what it was told last: a room that is closed."""
        await self._turns.finish()
        await self.stop()

    def owns(self, handle: int) -> bool:
        """Whether the handle is of this room."""
        if handle == self._janus.control:
            return True
        return any(way.handle == handle for seat in self.seats.values() for way in seat.ways)

    async def _do(self, thing: RoomState | Message | tuple[int, Json]) -> None:
        if self._reached < self._version and (self._janus.open or thing is self._newest):
            await self._state(self._newest)
        if isinstance(thing, tuple):
            await self._event(*thing)
        elif not isinstance(thing, RoomState):
            await self._said(thing)
        await self._settle()

    async def _said(self, message: Message) -> None:
        seat = self.seats.get(message.member)
        if seat is None:
            self._said_early(message)
        elif isinstance(message, Join):
            await self._join(seat, message)
        elif isinstance(message, Answer):
            await self._answer(seat, message)
        elif isinstance(message, Restart):
            await self._restart(seat, message)
        else:
            await self._drop(seat)

    def _said_early(self, message: Message) -> None:
        """His page is here before the room; whoever the newest state does not name stays out."""
        if message.member not in {each.member for each in self._newest.members}:
            log.info("room %s: somebody without a grant", self.name)
        elif isinstance(message, Join):
            self._early[message.member] = message
        elif isinstance(message, Leave):
            self._early.pop(message.member, None)

    # the desired state

    async def _state(self, wanted: RoomState) -> None:
        self._wanted = wanted
        members = {each.member: each for each in wanted.members}
        for name in [each for each in self.seats if each not in members]:
            await self._drop(self.seats.pop(name))
        if not members:
            self._reached = wanted.version
            await self._janus.destroy()
            return
        if self._made != (wanted.codec, wanted.presenter or ""):
            try:
                await self._make(wanted)
            except JanusError as error:
                log.warning("room %s: %s", self.name, error)
                self._turns.add_later(AGAIN_S, wanted)
                return
        self._reached = wanted.version
        for name, member in members.items():
            seat = self.seats.setdefault(name, Seat(member))
            seat.grants = member
            seat.joined = self._early.pop(name, seat.joined)
            await self._grant(seat)
            if not member.subscribe and seat.watch is not None:
                await self._close(seat, seat.watch)
        self._holder = floor_of(self.seats, wanted.presenter, self._holder)
        if self._presence is not None:  # an API that has just come knows of none
            self._tell(Presence(self.name, self._presence_version, self._presence))

    async def _make(self, wanted: RoomState) -> None:
        """The room in Janus; one of other codecs is made anew with everything in it."""
        for seat in self.seats.values():
            for way in [*seat.ways]:
                self._tell(TransportFailed(self.name, seat.grants.member, way.id, "remade"))
                await self._close(seat, way)
        await self._janus.destroy()
        await self._janus.make(self.name, wanted.codec)
        self._made = (wanted.codec, wanted.presenter or "")

    def _screens(self, seat: Seat) -> bool:
        presenter = self._wanted.presenter
        if presenter is not None:
            return seat.grants.member == presenter
        return seat.joined is not None and seat.joined.screen

    async def _grant(self, seat: Seat) -> None:
        if seat.publish is None:
            if seat.may_publish(screens=self._screens(seat)):
                await self._open_publish(seat)
            return
        await self._hush.apply(seat)

    # what pages say

    async def _join(self, seat: Seat, join: Join) -> None:
        seat.joined = join
        seat.broken.clear()
        for way in [*seat.ways]:
            if way.id not in join.resume:
                await self._close(seat, way)
            elif way.offer is not None:  # it may have been told while the page was away
                self._tell(way.offer)
        await self._grant(seat)

    async def _answer(self, seat: Seat, answer: Answer) -> None:
        way = seat.way(answer.transport)
        if way is None:
            return
        way.offer = None
        try:
            if isinstance(way, Publish):
                await self._published(seat, way, answer.sdp)
            else:
                await self._janus.ask(way.handle, ("answer", answer.sdp), request="start")
                way.answered = True
        except (BadOfferError, JanusError) as bad:
            log.info("room %s: bad answer: %s", self.name, bad)
            await self._fail(seat, way, "bad_answer")

    async def _published(self, seat: Seat, way: Publish, sdp: str) -> None:
        """Takes the page's own offer, silences what has no grant, and only then lets it connect."""
        sent = check(sdp, way.tracks)
        request = "configure" if way.answered else "publish"
        _, reply = await self._janus.ask(way.handle, ("offer", sdp), request=request)
        way.answered, way.sent = True, sent
        await self._grant(seat)
        self._tell(self._offer(seat, way, reply, way.tracks, reply=True))

    async def _restart(self, seat: Seat, restart: Restart) -> None:
        way = seat.way(restart.transport)
        if isinstance(way, Publish):
            self._offer_to(seat, way, "", way.tracks)
        elif isinstance(way, Watch):
            _, sdp = await self._janus.ask(way.handle, request="configure", restart=True)
            if sdp:
                self._offer_to(seat, way, sdp, way.tracks())

    # connections

    async def _open_publish(self, seat: Seat) -> None:
        kinds = seat.has(screens=self._screens(seat))
        member = seat.grants.member
        way = seat.publish = Publish("publish", NO_HANDLE)
        way.tracks = [TrackInfo(str(mid), kind, member) for mid, kind in enumerate(kinds)]
        try:
            way.handle = await self._janus.session.attach()
            await self._janus.ask(way.handle, request="join", ptype="publisher", id=way.id)
        except JanusError as error:
            await self._fail(seat, way, "engine", error)
            return
        self._offer_to(seat, way, "", way.tracks)

    async def _open_watch(self, seat: Seat, wanted: Sequence[Wanted]) -> None:
        way = seat.watch = Watch("subscribe", NO_HANDLE)
        await self._add(seat, way, wanted, request="join", ptype="subscriber", autoupdate=False)

    async def _add(self, seat: Seat, way: Watch, wanted: Sequence[Wanted], **request: Any) -> None:
        streams = [self._stream(kind) for _, kind in wanted]
        try:
            if way.handle == NO_HANDLE:
                way.handle = await self._janus.session.attach()
            answer, sdp = await self._janus.ask(way.handle, streams=streams, **request)
            self._lines(way, wanted, answer)
        except JanusError as error:
            await self._fail(seat, way, "engine", error)
            return
        if sdp:
            self._offer_to(seat, way, sdp, way.tracks())

    def _stream(self, kind: Kind) -> dict[str, str]:
        feed, mid = self._janus.idle(kind)
        return {"feed": feed, "mid": mid}

    def _lines(self, way: Watch, wanted: Sequence[Wanted], answer: Json) -> None:
        new = answer["streams"][len(way.lines) :]
        if len(new) != len(wanted):
            raise JanusError("other lines than were asked for")
        for (member, kind), stream in zip(wanted, new, strict=True):
            way.lines.append(Line(stream["mid"], kind, member, self._janus.idle(kind)))

    async def _close(self, seat: Seat, way: Way) -> None:
        if way is seat.publish:
            seat.publish = None
            await self._switch()  # a line whose feed ends would have to be agreed on anew
        elif way is seat.watch:
            seat.watch = None
        try:
            if way.handle != NO_HANDLE:
                await self._janus.session.detach(way.handle)
        except JanusError as error:  # gone already; or Janus hangs, and the session ends
            log.info("room %s: %s", self.name, error)

    async def _drop(self, seat: Seat) -> None:
        seat.joined = None
        for way in [*seat.ways]:
            await self._close(seat, way)

    async def _fail(self, seat: Seat, way: Way, reason: str, why: JanusError | None = None) -> None:
        if why is not None:
            log.warning("room %s: %s", self.name, why)
        seat.broken.add(way.direction)
        self._tell(TransportFailed(self.name, seat.grants.member, way.id, reason))
        await self._close(seat, way)

    # what Janus says

    async def _event(self, handle: int, event: Json) -> None:
        if handle == self._janus.control:
            data = event.get("plugindata", {}).get("data", {})
            if data.get("videoroom") in {"talking", "stopped-talking"}:
                self._talk.heard(data["id"], talks=data["videoroom"] == "talking")
            return
        found = ((s, w) for s in self.seats.values() for w in s.ways if w.handle == handle)
        seat, way = next(found, (None, None))
        if seat is None or way is None:
            return
        if event["janus"] == "webrtcup":
            way.up = True
        elif event["janus"] in {"hangup", "detached"}:
            await self._fail(seat, way, REASONS.get(event.get("reason", ""), "peer_closed"))
        elif isinstance(way, Watch) and "jsep" in event:
            self._offer_to(seat, way, event["jsep"]["sdp"], way.tracks())

    # what follows

    async def _settle(self) -> None:
        if not self._janus.open:
            return
        for seat in self.seats.values():
            if seat.joined is not None and seat.grants.subscribe:
                await self._watch(seat)
        await self._switch()
        carried = {name: self._carries(name) for name in self.seats}
        presence = [seat.presence(carried=carried[name]) for name, seat in self.seats.items()]
        if presence != self._presence:
            self._presence, self._presence_version = presence, self._presence_version + 1
            self._tell(Presence(self.name, self._presence_version, presence))
        voices = {
            feed[0]: name
            for name, seat in self.seats.items()
            if carried[name] and (feed := feed_of(seat, "audio"))
        }
        if self._talk.look(voices):
            self._tell(Speaking(self.name, self._talk.member))

    def _carries(self, name: str) -> bool:
        """Whether what he sends has a place in the room."""
        return self._wanted.presenter in {None, name} or name == self._holder

    async def _watch(self, seat: Seat) -> None:
        wanted = lines_of(self.seats, self._wanted.presenter, seat.grants.member)
        if seat.watch is None:
            if wanted and "subscribe" not in seat.broken:
                await self._open_watch(seat, wanted)
            return
        have = {(line.member, line.kind) for line in seat.watch.lines}
        missing = [each for each in wanted if each not in have]
        if missing and seat.watch.answered and seat.watch.offer is None:
            await self._add(seat, seat.watch, missing, request="subscribe")

    def _feed(self, viewer: Seat, line: Line) -> Feed:
        name = self._holder if line.member == FLOOR else line.member
        source = self.seats.get(name) if name is not None else None
        if source is viewer:
            source = None
        return feed_of(source, line.kind) or self._janus.idle(line.kind)

    async def _switch(self) -> None:
        """Feeds every line with what it is to carry now."""
        for seat in self.seats.values():
            if seat.watch is None or not seat.watch.answered:
                continue
            moved = [(each, self._feed(seat, each)) for each in seat.watch.lines]
            moved = [(line, feed) for line, feed in moved if line.feed != feed]
            if not moved:
                continue
            streams = [
                {"feed": feed, "mid": mid, "sub_mid": line.mid} for line, (feed, mid) in moved
            ]
            try:
                _, sdp = await self._janus.ask(seat.watch.handle, request="switch", streams=streams)
            except JanusError as error:  # he might go on getting what is not for him
                await self._fail(seat, seat.watch, "engine", error)
                continue
            for line, feed in moved:
                line.feed = feed
            if sdp:
                self._offer_to(seat, seat.watch, sdp, seat.watch.tracks())

    # words

    def _offer(
        self, seat: Seat, way: Way, sdp: str, tracks: Iterable[TrackInfo], *, reply: bool = False
    ) -> Offer:
        member = seat.grants.member
        return Offer(self.name, member, way.id, way.direction, sdp, [*tracks], reply)

    def _offer_to(self, seat: Seat, way: Way, sdp: str, tracks: Iterable[TrackInfo]) -> None:
        way.offer = self._offer(seat, way, sdp, tracks)
        self._tell(way.offer)
