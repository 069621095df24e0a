"""Whether a visit's patient streams vitals now, and whether they come late: they go before video.

The trace and the picture share the patient's link, and the doctor's. Whoever follows a patient is
told, so that the media of that visit leave room. A recorder's clock may be wrong: late is what is
later than the quickest way of the last minute.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from devices.frames import EcgFrame
from rtc.messages import VitalsNow

LATE_S = 1.5
GOOD_S = 5.0  # so long in time before it counts as well again
GONE_S = 12.0  # without a frame: the recorder is off
BASE_S = 30.0


@dataclass(slots=True)
class _Patient:
    rooms: Counter[UUID] = field(default_factory=Counter)
    state: VitalsNow = "none"
    base: tuple[float, float] | None = None  # the quickest way, of this window and the one before
    base_at: float = 0.0
    heard_at: float = 0.0
    late_at: float = 0.0
    timer: asyncio.TimerHandle | None = None


class VitalsWatch:
    """Of the patients whose visit somebody has open here."""

    def __init__(
        self, tell: Callable[[UUID, VitalsNow], None], clock: Callable[[], float] = time.time
    ) -> None:
        self._tell = tell
        self._clock = clock
        self._patients: dict[UUID, _Patient] = {}

    def follow(self, person_id: UUID, room_id: UUID) -> None:
        """A page of the visit is open."""
        patient = self._patients.setdefault(person_id, _Patient())
        patient.rooms[room_id] += 1
        self._tell(room_id, patient.state)

    def part(self, person_id: UUID, room_id: UUID) -> None:
        """One of them is closed."""
        patient = self._patients.get(person_id)
        if patient is None:
            return
        patient.rooms[room_id] -= 1
        patient.rooms += Counter()  # keeps what is over nothing
        if not patient.rooms:
            if patient.timer is not None:
                patient.timer.cancel()
            del self._patients[person_id]

    def heard(self, person_id: UUID, frames: Sequence[EcgFrame]) -> None:
        """Frames of a patient were stored."""
        patient = self._patients.get(person_id)
        if patient is None or not frames:
            return
        now = asyncio.get_running_loop().time()
        way = self._clock() - max(frame.started_at_us for frame in frames) / 1e6
        if patient.base is None or now - patient.base_at > 2 * BASE_S:
            patient.base, patient.base_at = (way, way), now
        elif now - patient.base_at > BASE_S:
            patient.base, patient.base_at = (way, patient.base[0]), now
        else:
            patient.base = (min(patient.base[0], way), patient.base[1])
        if patient.state == "none":
            patient.late_at = now - GOOD_S
        patient.heard_at = now
        if way - min(patient.base) > LATE_S:
            patient.late_at = now
        self._look(patient, now)

    def _look(self, patient: _Patient, now: float) -> None:
        """Says how it stands, and looks again when silence would change it."""
        silent_s = now - patient.heard_at
        if LATE_S < silent_s < GONE_S:
            patient.late_at = now
        state: VitalsNow = "flow"
        if silent_s >= GONE_S:
            state, patient.base = "none", None
        elif now - patient.late_at < GOOD_S:
            state = "late"
        if state != patient.state:
            patient.state = state
            for room_id in patient.rooms:
                self._tell(room_id, state)
        if patient.timer is not None:
            patient.timer.cancel()
            patient.timer = None
        if state != "none":
            loop = asyncio.get_running_loop()
            patient.timer = loop.call_later(LATE_S, lambda: self._look(patient, loop.time()))
