"""One room: the desired state from the API made true, and told back as offers and presence."""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtc import feedback, sdp
from rtc.fed import FedStage
from rtc.ladder import Told
from rtc.messages import (
    Answer,
    Direction,
    FromWorker,
    Join,
    Leave,
    Member,
    MemberPresence,
    Presence,
    Quality,
    Recording,
    Restart,
    RoomState,
    Speaking,
    Stepped,
    TransportFailed,
    Trespass,
)
from rtc.port import UdpPort
from rtc.quality import Watch
from rtc.recording.recorder import Recorder
from rtc.sdp import PAYLOAD_TYPE
from rtc.seat import Seat
from rtc.speaker import Speaker
from rtc.spread import Spread
from rtc.stage import Stage
from rtc.stun import Address
from rtc.track import MOST_BPS, Track
from rtc.transport import Certificates, Transport

log = logging.getLogger(__name__)

VITALS_BPS = 24_000  # of each viewer's link, beside his voices; a lead of ECG takes about 12


@dataclass(frozen=True)
class Ground:
    """What all rooms of a worker stand on."""

    port: UdpPort
    certificates: Certificates
    addresses: Sequence[Address]
    tell: Callable[[FromWorker], None]
    record: Callable[[str, Recording], Recorder | None]
    pipes: Path | None = None  # the folder of the workers' pipes


class Room:
    """One visit or lesson."""

    def __init__(self, wanted: RoomState, ground: Ground) -> None:
        self.name = wanted.room
        self.codec = wanted.codec
        self.presenter = wanted.presenter
        self.version = -1
        self.vitals = wanted.vitals
        self.seats: dict[str, Seat] = {}
        self.speaker = Speaker()
        self.home = wanted.home  # the pipe of the worker it lives in, where that is another
        self.stage: Stage | None = None
        self.spread = Spread()
        if self.home:
            forwarder = ground.port.forwarder
            self.stage = self.spread.branch(wanted, ground.pipes, forwarder, self._fed)
        elif wanted.presenter is not None:
            self.stage = Stage(wanted.presenter, wanted.codec)
        self.take: Recording | None = None  # the one that is wanted
        self.recorder: Recorder | None = None  # makes it
        self._ground = ground
        self._tell = ground.tell
        self._watch = Watch()
        self._steps = Told()
        self._presence_version = 0
        self._presence: list[MemberPresence] = []

    @property
    def transports(self) -> list[Transport]:
        """All living transports of the room."""
        pairs = ((seat.publish, seat.subscribe) for seat in self.seats.values())
        return [each for pair in pairs for each in pair if each is not None]

    def state(self, wanted: RoomState) -> None:
        """Takes the full desired state, unless it is older than what is there.

        Presence is told in any case: an API that has just started knows of none.
        """
        if wanted.version <= self.version:
            return
        self.version, self.vitals = wanted.version, wanted.vitals
        members = {each.member: each for each in wanted.members}
        for name in [each for each in self.seats if each not in members]:
            self._drop(self.seats[name])
            self.seats.pop(name).carry({})  # what he had is silent whatever a home still sends
        now = time.monotonic()
        for name, member in members.items():
            seat = self.seats.get(name)
            if seat is None:
                self.seats[name] = self._seat(member)
                continue
            seat.grant(member, now)
            if not member.subscribe:
                self._close(seat, "subscribe")
            if seat.may_publish() and seat.publish is None:
                self._open_publish(seat)
        if self.stage is not None:
            self.stage.give_floor(self.seats)
            self._take(wanted.recording, now)
        self._steps.forget()
        if not self._settle():
            self._tell(self.presence())

    def join(self, join: Join) -> None:
        """Makes what the page lacks: transports it does not resume are closed and made anew."""
        seat = self.seats.get(join.member)
        if seat is None:
            log.info("room %s: a join of somebody without a grant", self.name)
            return
        seat.joined = join
        if self.stage is None:
            seat.screens = join.screen  # a page that shows none is not asked for one
        seat.broken.clear()
        if seat.publish is not None and seat.publish.id not in join.resume:
            self._close(seat, "publish")
        if seat.subscribe is not None and seat.subscribe.id not in join.resume:
            self._close(seat, "subscribe")
        if seat.publish is None:
            if seat.may_publish():
                self._open_publish(seat)
        elif not seat.publish.answered:
            self._tell(seat.publish_offer())
        if seat.offered:  # it may have been told while the page was away
            self._tell(seat.subscribe_offer())
        self._settle()

    def answer(self, answer: Answer) -> None:
        """Takes a browser's answer; a bad one closes the transport."""
        seat, transport = self._find(answer.member, answer.transport)
        if seat is None or transport is None:
            return
        try:
            answered = sdp.parse_answer(answer.sdp)
        except sdp.BadAnswerError as bad:
            log.info("room %s: bad answer: %s", self.name, bad)
            transport.close("bad_answer")
            return
        if transport.direction == "publish":
            seat.publish_answered(answered)
        else:
            seat.subscribe_answered(answered)
        transport.start(answered.fingerprints)
        self._settle()

    def restart(self, restart: Restart) -> None:
        """Offers new ICE credentials for a transport whose peer has lost his way."""
        seat, transport = self._find(restart.member, restart.transport)
        if seat is not None and transport is not None:
            transport.restart_ice()
            publishes = transport.direction == "publish"
            self._tell(seat.publish_offer() if publishes else seat.subscribe_offer())

    def leave(self, leave: Leave) -> None:
        """Closes the transports of a page that is gone."""
        seat = self.seats.get(leave.member)
        if seat is not None:
            self._drop(seat)
            self._settle()

    def close(self) -> None:
        """Closes every transport; a running take is left to whoever goes on with it."""
        self.spread.close()
        for seat in self.seats.values():
            self._drop(seat)
        self.seats.clear()

    def end(self) -> None:
        """Closes everything, because nobody is in the room any more."""
        self.close()
        self._take(None, time.monotonic())

    def suspend(self) -> None:
        """Closes everything, because the worker goes: the take goes on in the next one."""
        self.close()
        if self.recorder is not None:
            try:
                self.recorder.suspend(time.monotonic())
            except Exception:
                log.exception("room %s: the recorder did not stop", self.name)

    def remade(self) -> None:
        """Closes everything and says so: the pages must join the room that takes its place."""
        for seat in self.seats.values():
            for transport in (seat.publish, seat.subscribe):
                if transport is not None:
                    failed = TransportFailed(self.name, seat.member, transport.id, "remade")
                    self._tell(failed)
        self.close()

    def go_on_recording(self, recorder: Recorder, take: Recording) -> None:
        """Takes over what an earlier room of this name has begun."""
        self.recorder, self.take = recorder, take
        if self.stage is not None:
            self.stage.tap(recorder.taps)

    def presence(self) -> Presence:
        """Who is there now."""
        return Presence(self.name, self._presence_version, self._presence)

    def tick(self, now: float, *, reports: bool) -> None:
        """Repeats unanswered requests, expires silent peers, and once a second reports."""
        for transport in self.transports:
            transport.expire(now)
            if transport.rate is not None and transport.connected:
                transport.rate.reserved_bps = VITALS_BPS if self.vitals != "none" else 0
                transport.rate.tick(now)
            if transport.direction == "publish" and transport.connected:
                for track in transport.tracks.values():
                    track.repeat_key_request(now)
                    track.ask_missing(now)
                feedback.tell_arrivals(transport, now)
                if reports:
                    weakest = feedback.LEFT_BEHIND if self.stage is not None else 0.0
                    most = feedback.LEAST_BPS if self.vitals == "late" else MOST_BPS
                    feedback.report_to_publisher(transport, now, weakest, most)
        if reports and (rows := self._watch.rows(self.seats.values(), now)):
            self._tell(Quality(self.name, rows))
        self._tell_steps()
        self.spread.tick(self.stage, now, reports=reports)
        self._tell_speaker(now)
        if self.stage is not None:
            self._tick_lesson(self.stage, now, reports=reports)

    def _tell_steps(self) -> None:
        stands = {
            name: seat.subscribe.rate.ladder.stands
            for name, seat in self.seats.items()
            if seat.subscribe is not None and seat.subscribe.rate is not None
        }
        for member, (step, reason) in self._steps.news(stands):
            self._tell(Stepped(self.name, member, step, reason))

    def _tell_speaker(self, now: float) -> None:
        voices = {
            name: track.loudness
            for name, seat in self.seats.items()
            if (track := seat.tracks.get("audio")) is not None
            and track.live
            and track.loudness is not None
        }
        if self.speaker.look(voices, now):
            self._tell(Speaking(self.name, self.speaker.member))

    def _tick_lesson(self, stage: Stage, now: float, *, reports: bool) -> None:
        stage.tick(now)
        for seat in self.seats.values():
            for kind in seat.trespasses(now):
                log.info("room %s: %s without a grant", self.name, kind)
                self._tell(Trespass(self.name, seat.member, kind))
        if reports:
            self._begin_recording()
        if self.recorder is not None:
            try:
                self.recorder.tick(now)
            except Exception:
                log.exception("room %s: the recorder stumbled", self.name)

    def _take(self, wanted: Recording | None, now: float) -> None:
        """Begins, ends or goes on with a recording."""
        running, self.take = self.take, wanted
        if running is not None and (wanted is None or wanted.take != running.take):
            self._end_recording(now)
        self._begin_recording()

    def _begin_recording(self) -> None:
        """Makes the recorder that is wanted; one that cannot be made now is tried again."""
        if self.stage is None or self.take is None or self.recorder is not None:
            return
        try:
            self.recorder = self._ground.record(self.name, self.take)
        except Exception:  # a full disk ends no lesson
            log.exception("room %s: no recorder", self.name)
        if self.recorder is not None:
            self.stage.tap(self.recorder.taps)

    def _end_recording(self, now: float) -> None:
        if self.stage is not None:
            self.stage.tap({})
        recorder, self.recorder = self.recorder, None
        if recorder is not None:
            try:
                recorder.close(now)
            except Exception:
                log.exception("room %s: the recorder did not close", self.name)

    def _seat(self, member: Member) -> Seat:
        seat = Seat(self.name, member, self._ground.addresses, self.codec)
        if self.stage is not None:
            self.stage.seat(seat)
        else:
            kinds = PAYLOAD_TYPE[self.codec]
            seat.carry({kind: Track(seat.member, kind, self.codec) for kind in kinds})
        return seat

    # a room that is spread over workers

    @property
    def sitting(self) -> list[str]:
        """Who watches in this worker."""
        return [seat.member for seat in self.seats.values() if seat.grants.subscribe]

    def enter(self, sock: socket.socket) -> bool:
        """Lets a branch of the room in; False: it has no use for branches."""
        return self.spread.enter(sock, self.stage, self._ground.port.counters)

    def _fed(self, stage: FedStage) -> None:
        """The home has told what is there."""
        if stage is not self.stage:
            self.stage = stage
            for seat in self.seats.values():
                stage.seat(seat)
        stage.give_floor(self.seats)
        for seat in self.seats.values():
            seat.let()
        self._settle()

    def _find(self, member: str, transport: str) -> tuple[Seat | None, Transport | None]:
        seat = self.seats.get(member)
        return seat, seat.transport(transport) if seat is not None else None

    def _open(self, direction: Direction) -> Transport:
        return Transport(
            self._ground.port, self._ground.certificates.current(), direction, self._changed
        )

    def _open_publish(self, seat: Seat) -> None:
        if self.home:  # he publishes there
            return
        seat.publish = self._open("publish")
        self._tell(seat.publish_offer())

    def _close(self, seat: Seat, direction: Direction) -> None:
        transport = seat.publish if direction == "publish" else seat.subscribe
        if transport is None:
            return
        if direction == "publish":
            seat.stop_publishing()
        else:
            seat.stop_watching()
        transport.close()

    def _drop(self, seat: Seat) -> None:
        seat.joined = None
        self._close(seat, "publish")
        self._close(seat, "subscribe")

    def _changed(self, transport: Transport, reason: str) -> None:
        """A transport came up, or closed by itself."""
        for seat in self.seats.values():
            if transport in (seat.publish, seat.subscribe):
                if reason:
                    self._close(seat, transport.direction)
                    seat.broken.add(transport.direction)
                    self._tell(TransportFailed(self.name, seat.member, transport.id, reason))
                break
        self._settle()

    def _settle(self) -> bool:
        """Brings every viewer's lines in step with what is published.

        Tells the presence when it has changed, and answers whether it has.
        """
        now = time.monotonic()
        published = [track for seat in self.seats.values() for track in seat.published]
        for seat in self.seats.values():
            if seat.joined is not None and seat.grants.subscribe:
                wanted = (
                    [track for track in published if track.member != seat.member]
                    if self.stage is None
                    else self.stage.lines(seat.member)
                )
                if seat.subscribe is None and wanted and "subscribe" not in seat.broken:
                    seat.subscribe = self._open("subscribe")
                if seat.subscribe is not None:
                    seat.stale = seat.plan(wanted) or seat.stale
                    if seat.stale and not seat.offered:
                        self._tell(seat.subscribe_offer())
            seat.wire(now)
        self.spread.show(self.stage, now)
        presence = [seat.presence for seat in self.seats.values()]
        changed = presence != self._presence
        if changed:
            self._presence = presence
            self._presence_version += 1
            self._tell(self.presence())
        return changed
