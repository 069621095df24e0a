"""Vitals before video: a room is told when its patient streams, and when that comes late."""

import asyncio
import time
from uuid import UUID, uuid4

from aiortc.rtp import RtcpPacket, RtcpPsfbPacket, unpack_remb_fci

from api.vitals_watch import GONE_S, GOOD_S, VitalsWatch
from devices.frames import EcgFrame
from rtc import feedback
from rtc.messages import VitalsNow
from rtc.reception import Reception
from rtc.track import MOST_BPS, Track
from rtc.transport import Transport

ROOM, PATIENT = uuid4(), uuid4()


class Told:
    """What is told, on a clock that the test turns."""

    def __init__(self) -> None:
        self.states: list[VitalsNow] = []
        self.now_s = time.time()
        self.watch = VitalsWatch(self._tell, lambda: self.now_s)
        self.watch.follow(PATIENT, ROOM)

    def _tell(self, room_id: UUID, state: VitalsNow) -> None:
        assert room_id == ROOM
        self.states.append(state)

    def frame(self, late_s: float) -> None:
        """A frame comes so late."""
        at_us = int((self.now_s - late_s) * 1e6)
        self.watch.heard(PATIENT, [EcgFrame(uuid4(), 1, at_us, b"")])


async def test_what_comes_later_than_it_could_is_late() -> None:
    """Not what a wrong clock says, and it is well again only after some seconds."""
    told, loop = Told(), asyncio.get_running_loop()
    patient = told.watch._patients[PATIENT]
    for late_s in (300.0, 300.4, 301.2):
        told.frame(late_s)
    assert told.states == ["none", "flow"]
    told.frame(302.0)
    assert told.states == ["none", "flow", "late"]
    told.frame(300.1)
    assert told.states[-1:] == ["late"]
    patient.late_at = loop.time() - GOOD_S
    told.frame(300.1)
    assert told.states[-1:] == ["flow"]
    patient.heard_at -= 2
    told.watch._look(patient, loop.time())
    assert told.states[-1:] == ["late"], "silence is late as well"
    told.watch._look(patient, loop.time() + GONE_S)
    assert told.states[-1:] == ["none"], "and then the recorder is off"
    told.watch.part(PATIENT, ROOM)
    told.frame(0)
    assert told.states[-1:] == ["none"]


class Kept(Transport):
    """A publisher's, that keeps what it is told."""

    def __init__(self, track: Track) -> None:
        self.tracks, self.told = {1: track}, list[bytes]()
        self.ssrcs = set()

    def send_rtcp(self, packet: bytes) -> None:
        """See Transport."""
        self.told.append(packet)


def test_a_camera_is_told_to_send_little_while_vitals_are_late() -> None:
    """Its share is what it was as soon as they are not."""
    track = Track("patient", "video")
    track.top.reception = Reception(77, 1, 90_000)
    publisher = Kept(track)
    for most in (feedback.LEAST_BPS, MOST_BPS):
        feedback.report_to_publisher(publisher, 1.0, 0.0, most)
    caps = [
        unpack_remb_fci(each.fci)[0]
        for packet in publisher.told
        for each in RtcpPacket.parse(packet)
        if isinstance(each, RtcpPsfbPacket)
    ]
    assert caps[0] <= feedback.LEAST_BPS < caps[1]
