"""A member's place in a room: his grants, his two transports, and what he watches."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from rtc import sdp
from rtc.leg import Leg
from rtc.messages import Codec, Direction, Join, Kind, Member, MemberPresence, Offer, TrackInfo
from rtc.stun import Address
from rtc.track import Track
from rtc.transport import Transport
from rtc.twcc import Arrivals

KINDS: tuple[Kind, ...] = ("audio", "video")
PUBLISH_MIDS: dict[str, Kind] = {"0": "audio", "1": "video", "2": "screen"}
TELL_AGAIN_S = 20.0  # longer than the API gives a page that has just lost a grant
GRANT_GRACE_S = 1.0  # packets under way when a grant ends are no trespass
MOST_LEFT = 64  # streams of a viewer that may come back
MOST_REFUSED = 50


@dataclass
class Line:
    """One m-line of the subscribe offer; lines are never removed, only used again."""

    mid: str
    kind: Kind
    track: Track | None = None
    last: Track | None = None  # who had it before: a track that returns finds its decoder warm
    receives: bool = False  # the browser has agreed to the present track


class Seat:
    """Grants come from `RoomState`, everything else from the member's page."""

    def __init__(
        self, room: str, member: Member, addresses: Sequence[Address], codec: Codec = "vp8"
    ) -> None:
        self.room = room
        self.member = member.member
        self.grants = member
        self.joined: Join | None = None
        self.publish: Transport | None = None
        self.subscribe: Transport | None = None
        self.tracks: Mapping[Kind, Track] = {}  # where his media goes
        self.screens = False  # may show a screen beside the camera
        self.lines: list[Line] = []
        self.broken: set[Direction] = set()  # failed; made anew when the page joins again
        self.offered = False  # a subscribe offer waits for its answer
        self.stale = False  # and the lines have changed meanwhile
        self._codec = codec
        self._addresses = addresses
        self._session = secrets.randbelow(1 << 62)
        self._version = 0
        self._sends: frozenset[Kind] = frozenset()  # what the page has answered to send
        self._rids: dict[Kind, frozenset[str]] = {}  # and in what layers
        self._ended_at: dict[Kind, float] = {}  # when a grant was taken
        self._told: dict[Kind, float] = {}  # trespasses told since the last grant, and when
        self._left: dict[int, int] = {}  # by SSRC: the newest packet of a stream that has stopped

    def grant(self, member: Member, now: float) -> None:
        """Takes the newest grants; media without one stops with the next packet."""
        for kind in self.grants.publish:
            if kind not in member.publish:
                self._ended_at[kind] = now
        for kind in member.publish:
            self._told.pop(kind, None)
        self.grants = member
        self.let()

    def let(self) -> None:
        """Brings the tracks in step with the grants."""
        for kind, track in self.tracks.items():
            live = kind in self.grants.publish and track.is_published
            if live != track.live:
                track.set_live(live)

    def may_publish(self) -> bool:
        """Whether the page has something to publish and a grant for it."""
        join = self.joined
        if join is None or "publish" in self.broken:
            return False
        has = {"audio": join.audio, "video": join.video, "screen": join.screen and self.screens}
        return any(has[kind] for kind in self.grants.publish)

    @property
    def presence(self) -> MemberPresence:
        """What others may know of this member."""
        transports = (self.publish, self.subscribe)
        connected = any(each is not None and each.connected for each in transports)
        sending = self.publish is not None and self.publish.connected
        return MemberPresence(
            self.member,
            connected,
            *(
                sending and kind in self.tracks and self.tracks[kind].live
                for kind in PUBLISH_MIDS.values()
            ),
        )

    @property
    def published(self) -> list[Track]:
        """The tracks viewers are offered; a missing grant silences them but keeps their place."""
        return [track for track in self.tracks.values() if track.is_published]

    def transport(self, transport_id: str) -> Transport | None:
        """The member's living transport of that id."""
        for each in (self.publish, self.subscribe):
            if each is not None and each.id == transport_id:
                return each
        return None

    # publishing

    def publish_offer(self) -> Offer:
        """Offers to receive one voice and one picture, and the screen of who may show one."""
        transport = self.publish
        if transport is None:
            raise ValueError("no publish transport")
        kinds = {
            mid: kind for mid, kind in PUBLISH_MIDS.items() if kind != "screen" or self.screens
        }
        sections = [
            sdp.Section(mid, kind, "recvonly", codec=self._codec, rids=self._layers(kind))
            for mid, kind in kinds.items()
        ]
        tracks = [TrackInfo(mid, kind, self.member) for mid, kind in kinds.items()]
        return self._offer(transport, sections, tracks)

    def _layers(self, kind: Kind) -> tuple[str, ...]:
        """The layers to ask for; none of a track that has one."""
        layers = self.tracks[kind].layers if kind in self.tracks else []
        return tuple(each.rid for each in layers) if len(layers) > 1 else ()

    def publish_answered(self, answered: sdp.Answered) -> None:
        """Connects the tracks the browser sends; the others stay silent."""
        sent = {PUBLISH_MIDS.get(each.mid): each for each in answered.sections if each.sends}
        sections = {kind: each for kind, each in sent.items() if kind is not None}
        self._sends = frozenset(sections)
        self._rids = {kind: frozenset(each.rids) for kind, each in sections.items()}
        if self.publish is not None and any(each.wide for each in sections.values()):
            self.publish.arrivals = self.publish.arrivals or Arrivals()
        self._connect()

    def carry(self, tracks: Mapping[Kind, Track]) -> None:
        """Lets the member's media go into these tracks from now on, and into no others."""
        if tracks is self.tracks:
            return
        for track in self.tracks.values():
            track.published_by(None)
        self.tracks = tracks
        self._connect()

    def _connect(self) -> None:
        for kind, track in self.tracks.items():
            source = self.publish if kind in self._sends else None
            if source is not track.source:
                track.published_by(source)
            track.rids = self._rids.get(kind, frozenset()) & frozenset(self._layers(kind))
        if self.publish is not None:
            self.publish.tracks = {track.payload_type: track for track in self.published}
        self.let()

    def stop_publishing(self) -> None:
        """Forgets the source of all tracks."""
        self.publish, self._sends, self._rids = None, frozenset(), {}
        self._connect()

    def trespasses(self, now: float) -> list[Kind]:
        """Kinds he goes on sending without a grant, or where nobody publishes.

        Each is told at once, and again while it goes on: the first time may still be a slow page.
        """
        found: list[Kind] = []
        for transport in (self.publish, self.subscribe):
            if transport is None:
                continue
            for payload_type, count in list(transport.refused.items()):
                kind = sdp.KIND_OF.get(payload_type, "video")
                if transport is self.publish:
                    granted = kind in self.grants.publish
                    if granted or now - self._ended_at.get(kind, 0.0) < GRANT_GRACE_S:
                        del transport.refused[payload_type]
                        continue
                    if count <= MOST_REFUSED:
                        continue
                del transport.refused[payload_type]
                if now - self._told.get(kind, -TELL_AGAIN_S) >= TELL_AGAIN_S:
                    self._told[kind] = now
                    found.append(kind)
        return found

    # watching

    def plan(self, wanted: Sequence[Track]) -> bool:
        """Gives every wanted track a line and frees the others; True when an offer is needed."""
        changed = False
        for line in self.lines:
            if line.track is not None and line.track not in wanted:
                self._unwire(line)
                line.track, line.receives = None, False
                changed = True
        watched = {line.track for line in self.lines}
        for track in wanted:
            if track in watched:
                continue
            self._free_line(track).track = track
            changed = True
        return changed

    def _free_line(self, track: Track) -> Line:
        free = [each for each in self.lines if each.track is None and each.kind == track.kind]
        line = next((each for each in free if each.last is track), free[0] if free else None)
        if line is None:
            line = Line(str(len(self.lines)), track.kind)
            self.lines.append(line)
        line.last = track
        return line

    def subscribe_offer(self) -> Offer:
        """Offers every watched track; the m-lines that carry none are inactive."""
        transport = self.subscribe
        if transport is None:
            raise ValueError("no subscribe transport")
        self.offered, self.stale = True, False
        sections, tracks = [], []
        for line in self.lines:
            if line.track is None:
                sections.append(sdp.Section(line.mid, line.kind, "inactive", codec=self._codec))
                continue
            track, member = line.track, line.track.member
            repair_ssrc = track.rtx_ssrc if track.is_picture else 0
            section = sdp.Section(line.mid, line.kind, "sendonly", member, track.ssrc, self._codec)
            sections.append(replace(section, repair_ssrc=repair_ssrc))
            tracks.append(TrackInfo(line.mid, line.kind, member))
        return self._offer(transport, sections, tracks)

    def subscribe_answered(self, answered: sdp.Answered) -> None:
        """Starts the tracks the browser has agreed to receive."""
        receives = {each.mid for each in answered.sections if each.receives}
        viewer = self.subscribe
        if viewer is not None and viewer.rate is not None:
            received = [each for each in answered.sections if each.receives]
            viewer.rate.repairs = any(each.rtx for each in received)
            # Without repair streams what is sent again must be bit for bit what was sent.
            if viewer.rate.repairs and any(each.wide for each in received):
                viewer.sent = viewer.rate.sent
        self.offered = False
        if not self.stale:  # else the newer offer's answer counts
            for line in self.lines:
                line.receives = line.track is not None and line.mid in receives

    def wire(self, now: float) -> None:
        """Connects the agreed tracks to the transport; each new viewer needs a key frame.

        A slot he publishes into himself is taken from him for as long.
        """
        viewer = self.subscribe
        if viewer is None or not viewer.connected:
            return
        own = self.tracks.values()
        for line in self.lines:
            track = line.track
            if track is None or not line.receives:
                continue
            leg = viewer.watched.get(track.ssrc)
            if track in own:
                if leg is not None:
                    self._end(leg)
            elif leg is None:
                leg = Leg(viewer, track, now)
                left_at = self._left.pop(track.ssrc, None)
                if left_at is not None:
                    leg.catch_up(left_at)

    def stop_watching(self) -> None:
        """Forgets the subscribe transport and all its lines."""
        for line in self.lines:
            self._unwire(line)
        self.lines, self.subscribe = [], None
        self._left.clear()
        self.offered = self.stale = False

    def _unwire(self, line: Line) -> None:
        if line.track is not None and self.subscribe is not None:
            leg = self.subscribe.watched.get(line.track.ssrc)
            if leg is not None:
                self._end(leg)

    def _end(self, leg: Leg) -> None:
        """Stops a stream; the same keys seal what comes under its SSRC later."""
        last = leg.last_sequence
        if last is not None:
            self._left[leg.track.ssrc] = last
            if len(self._left) > MOST_LEFT:
                del self._left[next(iter(self._left))]
        leg.end()

    def _offer(
        self, transport: Transport, sections: list[sdp.Section], tracks: list[TrackInfo]
    ) -> Offer:
        self._version += 1
        newest = transport.ice.newest
        place = sdp.Place(newest.ufrag, newest.password, transport.fingerprint, self._addresses)
        text = sdp.offer(self._session, self._version, place, sections)
        return Offer(self.room, self.member, transport.id, transport.direction, text, tracks)
