"""A member's place in a room: his grants, his two transports, and what he watches."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from rtc import sdp
from rtc.messages import Direction, Join, Kind, Member, MemberPresence, Offer, TrackInfo
from rtc.stun import Address
from rtc.track import Track
from rtc.transport import Transport

KINDS: tuple[Kind, ...] = ("audio", "video")
PUBLISH_MIDS: dict[str, Kind] = {"0": "audio", "1": "video"}


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

    def __init__(self, room: str, member: Member, addresses: Sequence[Address]) -> None:
        self.room = room
        self.member = member.member
        self.grants = member
        self.joined: Join | None = None
        self.publish: Transport | None = None
        self.subscribe: Transport | None = None
        self.tracks = {kind: Track(self.member, kind) for kind in KINDS}
        self.lines: list[Line] = []
        self.broken: set[Direction] = set()  # failed; made anew when the page joins again
        self.offered = False  # a subscribe offer waits for its answer
        self.stale = False  # and the lines have changed meanwhile
        self._addresses = addresses
        self._session = secrets.randbelow(1 << 62)
        self._version = 0

    def grant(self, member: Member) -> None:
        """Takes the newest grants; media without one stops with the next packet."""
        self.grants = member
        for kind, track in self.tracks.items():
            live = kind in member.publish and track.source is not None
            if live != track.live:
                track.set_live(live)

    @property
    def presence(self) -> MemberPresence:
        """What others may know of this member."""
        transports = (self.publish, self.subscribe)
        connected = any(each is not None and each.connected for each in transports)
        sending = self.publish is not None and self.publish.connected
        return MemberPresence(
            self.member,
            connected,
            sending and self.tracks["audio"].live,
            sending and self.tracks["video"].live,
        )

    @property
    def published(self) -> list[Track]:
        """The tracks viewers are offered; a missing grant silences them but keeps their place."""
        return [track for track in self.tracks.values() if track.source is not None]

    def transport(self, transport_id: str) -> Transport | None:
        """The member's living transport of that id."""
        for each in (self.publish, self.subscribe):
            if each is not None and each.id == transport_id:
                return each
        return None

    # publishing

    def publish_offer(self) -> Offer:
        """Offers to receive one voice and one picture."""
        transport = self.publish
        if transport is None:
            raise ValueError("no publish transport")
        sections = [sdp.Section(mid, kind, "recvonly") for mid, kind in PUBLISH_MIDS.items()]
        tracks = [TrackInfo(mid, kind, self.member) for mid, kind in PUBLISH_MIDS.items()]
        return self._offer(transport, sections, tracks)

    def publish_answered(self, answered: sdp.Answered) -> None:
        """Opens and closes tracks as the browser has answered."""
        if self.publish is None:
            return
        sends = {PUBLISH_MIDS.get(each.mid) for each in answered.sections if each.sends}
        for kind, track in self.tracks.items():
            source = self.publish if kind in sends else None
            if source is not track.source:
                track.published_by(source)
        self.publish.tracks = {sdp.PAYLOAD_TYPE[track.kind]: track for track in self.published}
        self.grant(self.grants)

    def stop_publishing(self) -> None:
        """Forgets the source of all tracks."""
        self.publish = None
        for track in self.tracks.values():
            track.published_by(None)
        self.grant(self.grants)

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
                sections.append(sdp.Section(line.mid, line.kind, "inactive"))
                continue
            member = line.track.member
            sections.append(sdp.Section(line.mid, line.kind, "sendonly", member, line.track.ssrc))
            tracks.append(TrackInfo(line.mid, line.kind, member))
        return self._offer(transport, sections, tracks)

    def subscribe_answered(self, answered: sdp.Answered) -> None:
        """Starts the tracks the browser has agreed to receive."""
        receives = {each.mid for each in answered.sections if each.receives}
        self.offered = False
        if not self.stale:  # else the newer offer's answer counts
            for line in self.lines:
                line.receives = line.track is not None and line.mid in receives

    def wire(self, now: float) -> None:
        """Connects the agreed tracks to the transport; each new viewer needs a key frame."""
        viewer = self.subscribe
        if viewer is None or not viewer.connected:
            return
        for line in self.lines:
            track = line.track
            if track is not None and line.receives and viewer not in track.legs:
                track.legs.append(viewer)
                viewer.watched[track.ssrc] = track
                track.ask_key_frame(now)

    def stop_watching(self) -> None:
        """Forgets the subscribe transport and all its lines."""
        for line in self.lines:
            self._unwire(line)
        self.lines, self.subscribe = [], None
        self.offered = self.stale = False

    def _unwire(self, line: Line) -> None:
        track = line.track
        if track is not None and self.subscribe is not None and self.subscribe in track.legs:
            track.legs.remove(self.subscribe)
            self.subscribe.watched.pop(track.ssrc, None)

    def _offer(
        self, transport: Transport, sections: list[sdp.Section], tracks: list[TrackInfo]
    ) -> Offer:
        self._version += 1
        newest = transport.ice.newest
        place = sdp.Place(newest.ufrag, newest.password, transport.fingerprint, self._addresses)
        text = sdp.offer(self._session, self._version, place, sections)
        return Offer(self.room, self.member, transport.id, transport.direction, text, tracks)
