"""How media fare with each member of a room: one row a transport, made every few seconds.

Nothing here is asked of the hot path: it is the difference between two looks at what is counted at
any rate. Loss is what was lost on the way, before repair: as we count it of a publisher's packets,
as a viewer's receiver reports count it of ours.
"""

from typing import TYPE_CHECKING, Protocol

from rtc.messages import LinkRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rtc.leg import Leg
    from rtc.reception import Reception
    from rtc.transport import Transport

LOOK_EVERY_S = 5.0
# A peer checks his way every 2.5 seconds at the latest; Chromium and a lost check make it twice.
SILENT_S = 6.0
PAUSED = "paused"  # in the place of a layer's name: no picture is sent to him
_WRAPPED = 1 << 31


class Heard:
    """A viewer's receiver reports of one of our streams (RFC 3550 section 6.4.1)."""

    def __init__(self) -> None:
        self.jitter_units = 0
        self._before: tuple[int, int] | None = None  # highest sequence number, lost so far
        self._expected = self._lost = 0

    def take(self, highest: int, lost: int, jitter_units: int) -> None:
        """Takes a report; one that is older than the last is passed over."""
        self.jitter_units = jitter_units
        before, self._before = self._before, (highest, lost)
        if before is None:
            return
        expected = (highest - before[0]) & 0xFFFFFFFF
        if expected < _WRAPPED:
            self._expected += expected
            # What comes late makes the sum smaller again: such a stretch has lost nothing.
            self._lost += min(max(0, lost - before[1]), expected)

    def since(self) -> tuple[int, int]:
        """Packets expected and lost since the last call."""
        counted = self._expected, self._lost
        self._expected = self._lost = 0
        return counted


class Look:
    """One look after the other at one transport."""

    def __init__(self) -> None:
        self.at: float | None = None
        self._bytes: dict[Leg, int] = {}
        self._received: dict[Reception, tuple[int, int]] = {}  # expected, arrived by themselves

    def row(self, member: str, transport: "Transport", now: float) -> LinkRow:
        """What has happened since the last look."""
        passed_s = now - self.at if self.at is not None else 0.0
        self.at = now
        publishes = transport.direction == "publish"
        return (self._published if publishes else self._watched)(member, transport, now, passed_s)

    def _published(
        self, member: str, transport: "Transport", now: float, passed_s: float
    ) -> LinkRow:
        layers = [
            layer
            for track in transport.tracks.values()
            for layer in track.layers
            if layer.reception is not None
        ]
        before, self._received = self._received, {}
        expected = lost = 0
        for layer in layers:
            reception = layer.reception
            if reception is None:
                continue
            counted = reception.expected, reception.received - reception.repaired
            self._received[reception] = counted
            earlier = before.get(reception, (0, 0))
            wanted = max(0, counted[0] - earlier[0])
            expected += wanted
            lost += min(wanted, max(0, wanted - (counted[1] - earlier[1])))
        arriving = [each for each in layers if each.arrives(now)]
        pictures = [each for each in arriving if each.track.kind == "video"]
        jitters = [
            (each.track.is_picture, each.reception.jitter_units * 1000 / each.clock_rate)
            for each in arriving
            if each.reception is not None
        ]
        return LinkRow(
            member,
            "publish",
            round(passed_s * 1000),
            silent=now - transport.heard_at > SILENT_S,
            kbps=sum(each.bps for each in arriving) // 1000,
            packets=expected,
            lost=lost,
            jitter_ms=_of_voice(jitters),
            layer=pictures[-1].rid if pictures else None,
        )

    def _watched(self, member: str, transport: "Transport", now: float, passed_s: float) -> LinkRow:
        before, self._bytes = self._bytes, {}
        sent = expected = lost = 0
        jitters: list[tuple[bool, float]] = []
        layer = None
        for ssrc, leg in transport.watched.items():
            self._bytes[leg] = leg.sent_bytes
            sent += self._bytes[leg] - before.get(leg, 0)
            heard = transport.reports.get(ssrc)
            if heard is not None:
                counted = heard.since()
                expected, lost = expected + counted[0], lost + counted[1]
                if leg.track.arrives(now) and leg.wanted is not None:
                    units = heard.jitter_units * 1000 / leg.track.clock_rate
                    jitters.append((leg.track.is_picture, units))
            if leg.track.kind == "video" and leg.track.arrives(now):
                layer = leg.wanted.rid if leg.wanted is not None else PAUSED
        for gone in transport.reports.keys() - transport.watched.keys():
            del transport.reports[gone]
        bps = transport.rate.bps if transport.rate is not None else None
        trip_s = transport.round_trip_s
        return LinkRow(
            member,
            "subscribe",
            round(passed_s * 1000),
            silent=now - transport.heard_at > SILENT_S,
            kbps=round(sent * 8 / passed_s / 1000) if passed_s > 0 else 0,
            packets=expected,
            lost=lost,
            rtt_ms=None if trip_s is None else round(trip_s * 1000),
            jitter_ms=_of_voice(jitters),
            estimate_kbps=None if bps is None else bps // 1000,
            layer=layer,
        )


def _of_voice(jitters: "list[tuple[bool, float]]") -> int | None:
    """The worst voice's; a picture's packets of one frame leave at once and look uneven anyway."""
    voices = [ms for is_picture, ms in jitters if not is_picture]
    found = voices or [ms for _, ms in jitters]
    return round(max(found)) if found else None


class Sitting(Protocol):
    """What is asked of a seat."""

    member: str
    publish: "Transport | None"
    subscribe: "Transport | None"


class Watch:
    """The looks at all transports of a room."""

    def __init__(self) -> None:
        self._looks: dict[str, Look] = {}
        self._at = 0.0

    def rows(self, seats: "Iterable[Sitting]", now: float) -> list[LinkRow]:
        """A row for each transport that is up; empty but for once in `LOOK_EVERY_S`."""
        if now - self._at < LOOK_EVERY_S:
            return []
        self._at = now
        before, self._looks = self._looks, {}
        rows = []
        for seat in seats:
            for transport in (seat.publish, seat.subscribe):
                if transport is None or not transport.connected:
                    continue
                look = self._looks[transport.id] = before.get(transport.id) or Look()
                first = look.at is None
                row = look.row(seat.member, transport, now)
                if not first:  # the first look has nothing to compare with
                    rows.append(row)
        return rows
