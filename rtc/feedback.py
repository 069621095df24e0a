"""RTCP in both directions: what a browser tells us, and what we tell publishers on the clock."""

import struct
from collections.abc import Iterable
from contextlib import suppress

from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    pack_remb_fci,
    unpack_remb_fci,
)

from rtc import estimate, rtx, twcc
from rtc.forward import Counters
from rtc.leg import Leg
from rtc.quality import Heard
from rtc.rate import Rate
from rtc.track import MOST_BPS, OUR_SSRC, PSFB_PLI, RTPFB_NACK, Track
from rtc.transport import Transport

PSFB_FIR = 4
MAX_RESENDS = 128  # answered per NACK packet
REMEMBERED_RESENDS = 2048
LEAST_RTT_S = 0.02
MOST_RTT_S = 1.0

LEAST_BPS = 150_000  # below this a face is not worth sending
ALONE_BPS = 500_000  # nobody watches
LEFT_BEHIND = 0.2  # share of a class whose links may be too weak for what the others get


def received(transport: Transport, data: bytes, counters: Counters, now: float) -> None:
    """Takes an opened compound packet from a browser; nonsense is counted and dropped."""
    try:
        packets = RtcpPacket.parse(_without_arrivals(transport, data, counters, now))
    except (ValueError, struct.error, IndexError):
        counters.refused_datagrams += 1
        return
    for packet in packets:
        if transport.direction == "publish":
            _from_publisher(transport, packet, now)
        else:
            _from_viewer(transport, packet, counters, now)


def _without_arrivals(transport: Transport, data: bytes, counters: Counters, now: float) -> bytes:
    """Takes the feedback about arrivals, which aiortc would read as requests for packets."""
    rest, at = bytearray(), 0
    while at < len(data):
        end = at + 4 * (1 + int.from_bytes(data[at + 2 : at + 4], "big"))
        if data[at + 1] != twcc.RTPFB or data[at] & 0x1F != twcc.FORMAT:
            rest += data[at:end]
        elif transport.rate is not None and transport.rate.has_time(now):
            try:
                transport.rate.told(twcc.parse(data[at:end]), now)
            except twcc.BadFeedbackError:
                counters.refused_datagrams += 1
        at = end
    return bytes(rest)


def _from_publisher(transport: Transport, packet: AnyRtcpPacket, now: float) -> None:
    if isinstance(packet, RtcpSrPacket):
        for track in transport.tracks.values():
            track.forward_report(packet, now)


def _from_viewer(
    transport: Transport, packet: AnyRtcpPacket, counters: Counters, now: float
) -> None:
    if isinstance(packet, RtcpRrPacket):
        _round_trip(transport, packet, now)
    elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTPFB_NACK:
        leg = transport.watched.get(packet.media_ssrc)
        if leg is not None:
            _resend(transport, leg, packet.lost, counters, now)
    elif isinstance(packet, RtcpPsfbPacket):
        if packet.fmt == RTCP_PSFB_APP:
            _estimate(transport, packet.fci)
            return
        # FIR names its target in the FCI (RFC 5104 section 4.3.1), PLI in the header.
        ssrc = packet.media_ssrc
        if packet.fmt == PSFB_FIR and len(packet.fci) >= 4:  # noqa: PLR2004
            ssrc = int.from_bytes(packet.fci[:4], "big")
        leg = transport.watched.get(ssrc)
        if packet.fmt in {PSFB_PLI, PSFB_FIR} and leg is not None:
            leg.ask_key_frame(now)


def _round_trip(transport: Transport, packet: RtcpRrPacket, now: float) -> None:
    for report in packet.reports:
        leg = transport.watched.get(report.ssrc)
        layer = leg.layer if leg is not None else None
        if leg is not None:
            heard = transport.reports.setdefault(report.ssrc, Heard())
            heard.take(report.highest_sequence, report.packets_lost, report.jitter)
        if layer is not None and report.lsr and report.lsr == layer.report_middle:
            rtt = now - layer.report_at - report.dlsr / 65536
            transport.round_trip_s = max(0.0, rtt)
            transport.rtt_s = min(max(rtt, LEAST_RTT_S), MOST_RTT_S)


def _resend(
    transport: Transport, leg: Leg, lost: Iterable[int], counters: Counters, now: float
) -> None:
    """Sends again what the ring still has, each packet at most once per round trip."""
    rate = transport.rate
    if rate is None or not leg.track.live:
        return
    if transport.sent is not None and not rate.repairs:
        return  # its number would be another: two packets under one key stream
    if len(transport.resent_at) > REMEMBERED_RESENDS:
        transport.resent_at.clear()
    for sequence in list(lost)[:MAX_RESENDS]:
        key = (leg.track.ssrc, sequence & 0xFFFF)
        if now - transport.resent_at.get(key, 0.0) < transport.rtt_s:
            continue
        packet = leg.kept(sequence & 0xFFFF, now)
        if packet is not None:
            if not rate.affords_repair(len(packet), now):
                return
            transport.resent_at[key] = now
            transport.send_rtp(_repair(rate, leg.track, packet, now))
            counters.resent += 1


def _repair(rate: Rate, track: Track, packet: bytes, now: float) -> bytes:
    """A packet as it is sent again: in a stream of its own where the browser has one for it."""
    if not rate.repairs:
        return packet
    again = rtx.wrap(packet, track.rtx_ssrc, rate.repair_sequence(track.rtx_ssrc))
    rate.number(again, now)
    return bytes(again)


def _estimate(transport: Transport, fci: bytes) -> None:
    if transport.rate is None:
        return
    with suppress(ValueError, struct.error):
        most = int(estimate.MOST_BPS)  # he may say 2 to the 81, which fits no message
        transport.rate.heard_bps = min(most, unpack_remb_fci(fci)[0])


def target_bps(track: Track, now: float, left_behind: float = 0.0) -> int:
    """What the publisher should send at most: what the viewers' links carry per picture.

    The weakest link counts, but for a share of a class that is `left_behind`: one pupil on a bad
    link must not blur thirty. Where there are several layers he gets a smaller one instead; where
    only a small one comes, its sender has just begun, or was short of room.
    """
    away = [outlet.shares.get(track, (0, [])) for outlet in track.outlets]
    if not track.legs and not any(watching for watching, _ in away):
        return track.most_bps if track.tap is not None else ALONE_BPS
    if any(layer.arrives(now) for layer in track.layers[:-1]):
        return track.most_bps
    rates = [leg.transport.rate for leg in track.legs]
    shares = sorted(
        share for each in rates if each is not None and (share := each.share(now)) is not None
    )
    shares = sorted([*shares, *(share for _, shared in away for share in shared)])
    carried = shares[int(len(shares) * left_behind)] if shares else MOST_BPS
    return max(LEAST_BPS, min(track.most_bps, carried))


def tell_arrivals(transport: Transport, now: float) -> None:
    """Tells a publisher when his packets came; ten times a second, of a voice alone five times.

    A browser reads only what names a stream of its own.
    """
    layers = (each for track in transport.tracks.values() for each in track.layers)
    streams = [each.reception.ssrc for each in layers if each.reception is not None]
    media = next(iter(streams or transport.ssrcs), None)
    if transport.arrivals is None or media is None or not transport.arrivals.is_worth_telling(now):
        return
    for each in transport.arrivals.feedback(now):
        transport.send_rtcp(twcc.pack(OUR_SSRC, media, each))


def report_to_publisher(
    transport: Transport, now: float, left_behind: float = 0.0, most_bps: int = MOST_BPS
) -> None:
    """Receiver report and REMB for one publish transport, over `most_bps` never; once a second."""
    layers = [layer for track in transport.tracks.values() for layer in track.layers]
    receptions = [layer.reception for layer in layers if layer.reception is not None]
    tracks = [
        track
        for track in transport.tracks.values()
        if any(layer.reception is not None for layer in track.layers)
    ]
    if not tracks:
        return
    packet = bytes(RtcpRrPacket(OUR_SSRC, [each.report(now) for each in receptions]))
    pictures = [each for each in tracks if each.is_picture]
    if pictures:  # a browser divides one figure among the pictures it sends
        sent = [each for each in pictures if each.arrives(now)] or pictures[:1]
        total = min(most_bps, sum(target_bps(each, now, left_behind) for each in sent))
        fci = pack_remb_fci(total, [each.ssrc for each in receptions])
        packet += bytes(RtcpPsfbPacket(RTCP_PSFB_APP, OUR_SSRC, 0, fci))
    transport.send_rtcp(packet)
